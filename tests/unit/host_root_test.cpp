// SPDX-License-Identifier: Apache-2.0
#include "launch/host_root.hpp"

#include <doctest/doctest.h>

using sbx::User;
using sbx::detail::account_files;
using sbx::detail::AccountKind;
using sbx::detail::system_accounts;

namespace {

std::string users(const std::string& passwd, const User& user) {
  return account_files(passwd, "", user)[0].contents;
}

std::string groups(const std::string& group, const User& user) {
  return account_files("", group, user)[1].contents;
}

const User kAlice{.uid = 1000, .gid = 1000, .name = "alice", .home = "/home/alice"};

}  // namespace

TEST_CASE("of the host's users the system's are shown, and no people") {
  CHECK(system_accounts("root:x:0:0:root:/root:/bin/bash\n"
                        "alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\n"
                        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                        AccountKind::kUser) ==
        "root:x:0:0:root:/root:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
}

TEST_CASE("of the host's groups the system's are shown, without members and passwords") {
  CHECK(system_accounts("root:x:0:\nstaff:secret:50:alice,bob\nalice:x:1000:\n",
                        AccountKind::kGroup) == "root:x:0:\nstaff:x:50:\n");
}

TEST_CASE("a line that is no account is not shown, whoever it names") {
  CHECK(system_accounts("staff:x:50:alice:bob\nroot:x:0:0:root:/root:/bin/bash\n\n# alice\n",
                        AccountKind::kGroup) == "");
  CHECK(system_accounts("staff:x:50:alice\n#old:x:5:5::/:/bin/sh\n :x:5:5::/:/bin/sh\n"
                        "+::::::\nroot\n",
                        AccountKind::kUser) == "");
}

TEST_CASE("the sandbox's user has a line, and is the only one of that name and number") {
  CHECK(users("", kAlice) == "alice:x:1000:1000::/home/alice:/bin/sh\n");
  CHECK(users("alice:x:5:5::/:/bin/sh\nbob:x:1000:5::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n", kAlice) ==
        "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n");
  CHECK(users("alice:x:1000:5:A:/:/bin/sh\n", kAlice) == "alice:x:1000:5:A:/:/bin/sh\n");
}

TEST_CASE("half a line does not stand for the sandbox's user") {
  CHECK(users("alice:x:1000\n", kAlice) == "alice:x:1000:1000::/home/alice:/bin/sh\n");
}

TEST_CASE("the sandbox's group has a line") {
  CHECK(groups("", kAlice) == "alice:x:1000:\n");
  CHECK(groups("people:x:1000:bob\n", kAlice) == "people:x:1000:bob\n");
}

TEST_CASE("a number in another field does not stand for the sandbox's group") {
  CHECK(groups("staff:1000:50:\n", kAlice) == "staff:1000:50:\nalice:x:1000:\n");
}
