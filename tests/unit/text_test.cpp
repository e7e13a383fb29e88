// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "sys/error.hpp"

using sbx::detail::printable;

TEST_CASE("text in a message is shown as it is") {
  CHECK(printable("") == "");
  CHECK(printable("a b~") == "a b~");
  CHECK(printable("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST_CASE("control characters in a message are escaped") {
  CHECK(printable("a\n\x1b[2J\x7f") == "a\\x0a\\x1b[2J\\x7f");
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");
  CHECK(printable("\xc2\xa0") == "\xc2\xa0");
}

TEST_CASE("bytes in a message that are no UTF-8 are escaped") {
  CHECK(printable("caf\xe9!") == "caf\\xe9!");
  CHECK(printable("\x80\xbf") == "\\x80\\xbf");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("\xf8\x90\x80\x80") == "\\xf8\\x90\\x80\\x80");
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
}

TEST_CASE("long text in a message is shortened between two characters") {
  const std::string a(60, 'a');
  const std::string b(60, 'b');

  CHECK(printable(std::string(200, 'x')) == std::string(200, 'x'));
  CHECK(printable(a + std::string(81, 'x') + b) == a + "...(201 bytes)..." + b);
  CHECK(printable(a.substr(1) + "\xe2\x82\xac" + std::string(80, 'x') + b) ==
        a.substr(1) + "...(202 bytes)..." + b);
  CHECK(printable(a + std::string(80, 'x') + "\xe2\x82\xac" + b.substr(1)) ==
        a + "...(202 bytes)..." + b.substr(1));
}
