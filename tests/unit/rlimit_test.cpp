// SPDX-License-Identifier: Apache-2.0
#include "sbx/rlimit.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <sbx/error.hpp>
#include <stdexcept>
#include <string>

#include "support/child.hpp"

using sbx::Rlimit;

TEST_CASE("the hard limit is the soft one unless it is given") {
  CHECK(Rlimit::parse("nofile=1024") ==
        Rlimit{.resource = RLIMIT_NOFILE, .soft = 1024, .hard = 1024});
  CHECK(Rlimit::parse("core=0:unlimited") ==
        Rlimit{.resource = RLIMIT_CORE, .soft = 0, .hard = Rlimit::kUnlimited});
}

TEST_CASE("a limit in bytes takes a size and any other a plain number") {
  CHECK(Rlimit::parse("as=512M").soft == 512ULL << 20);
  CHECK_THROWS_WITH_AS(Rlimit::parse("nproc=1K"),
                       "cannot read the resource limit 'nproc=1K': a limit is a whole number, or "
                       "unlimited",
                       std::invalid_argument);
}

TEST_CASE("a limit that cannot be read is named with the reason") {
  CHECK_THROWS_WITH_AS(Rlimit::parse("nofile"),
                       "cannot read the resource limit 'nofile': it is not NAME=SOFT[:HARD]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Rlimit::parse("files=1"),
                       "cannot read the resource limit 'files=1': there is no such resource",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      Rlimit::parse("as=-1"),
      "cannot read the resource limit 'as=-1': a limit is a size such as 64M, or unlimited",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      Rlimit::parse("nofile=2:1"),
      "cannot read the resource limit 'nofile=2:1': the soft limit is above the hard one",
      std::invalid_argument);
}

TEST_CASE("a limit is refused when a part of it is missing or there is one too many") {
  CHECK_THROWS_AS(Rlimit::parse(""), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("=1"), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("cpu="), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("cpu=:1"), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("cpu=1:"), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("cpu=1:2:3"), std::invalid_argument);
  CHECK_THROWS_AS(Rlimit::parse("cpu=18446744073709551615"), std::invalid_argument);
}

TEST_CASE("a message about a very long limit stays short") {
  const std::string text = "\x1b[2J" + std::string(70'000, 'x') + "=1";

  CHECK_THROWS_WITH_AS(
      Rlimit::parse(text),
      ("cannot read the resource limit '\\x1b[2J" + std::string(56, 'x') + "...(70006 bytes)..." +
       std::string(58, 'x') + "=1': there is no such resource")
          .c_str(),
      std::invalid_argument);
}

TEST_CASE("a resource has the name by which it is read") {
  CHECK(Rlimit::parse("memlock=1").name() == "memlock");
  CHECK(Rlimit{.resource = 99}.name() == "resource 99");
}

TEST_CASE("a limit that was applied is the current one") {
  const auto said = sbx::test::in_child([] {
    Rlimit::parse("nofile=20:30").apply();
    const auto now = Rlimit::current(RLIMIT_NOFILE);
    return std::to_string(now.soft) + ":" + std::to_string(now.hard);
  });

  CHECK(said == "20:30");
}

TEST_CASE("a resource that the kernel does not know has no limit to read or set") {
  CHECK_THROWS_WITH_AS(Rlimit::current(99),
                       "cannot read the resource limit 'resource 99': Invalid argument",
                       sbx::SystemError);
  CHECK_THROWS_WITH_AS((Rlimit{.resource = 99, .soft = 1}.apply()),
                       "cannot set the resource limit 'resource 99=1:unlimited': Invalid argument",
                       sbx::SystemError);
}
