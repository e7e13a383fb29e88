// SPDX-License-Identifier: Apache-2.0
#include "sys/number.hpp"

#include <doctest/doctest.h>

using sbx::detail::parse_size;
using sbx::detail::parse_unsigned;

TEST_CASE("a number is read up to the largest that 64 bits hold") {
  CHECK(parse_unsigned("0") == 0);
  CHECK(parse_unsigned("1024") == 1024);
  CHECK(parse_unsigned("18446744073709551615") == 18446744073709551615U);
  CHECK_FALSE(parse_unsigned("18446744073709551616"));
}

TEST_CASE("a number above the maximum is refused") {
  CHECK(parse_unsigned("65535", 65535) == 65535);
  CHECK_FALSE(parse_unsigned("65536", 65535));
}

TEST_CASE("a number is digits and nothing else") {
  CHECK_FALSE(parse_unsigned(""));
  CHECK_FALSE(parse_unsigned(" 1"));
  CHECK_FALSE(parse_unsigned("1 "));
  CHECK_FALSE(parse_unsigned("1\n"));
  CHECK_FALSE(parse_unsigned("+1"));
  CHECK_FALSE(parse_unsigned("-1"));
  CHECK_FALSE(parse_unsigned("0x10"));
  CHECK_FALSE(parse_unsigned("1.5"));
  CHECK_FALSE(parse_unsigned("x1"));
}

TEST_CASE("a size takes a letter for a power of 1024") {
  CHECK(parse_size("512") == 512);
  CHECK(parse_size("64K") == 65536);
  CHECK(parse_size("256M") == 268435456);
  CHECK(parse_size("2G") == 2147483648);
  CHECK(parse_size("1T") == 1099511627776);
}

TEST_CASE("a size without digits or with another letter is refused") {
  CHECK_FALSE(parse_size(""));
  CHECK_FALSE(parse_size("K"));
  CHECK_FALSE(parse_size("1k"));
  CHECK_FALSE(parse_size("1KK"));
  CHECK_FALSE(parse_size("1KB"));
  CHECK_FALSE(parse_size("1P"));
  CHECK_FALSE(parse_size("-1K"));
}

TEST_CASE("a size that overflows or exceeds the maximum is refused") {
  CHECK(parse_size("16777215T") == 18446742974197923840U);
  CHECK_FALSE(parse_size("16777216T"));
  CHECK(parse_size("1K", 1024) == 1024);
  CHECK_FALSE(parse_size("1K", 1023));
}
