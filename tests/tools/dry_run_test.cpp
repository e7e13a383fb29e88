// SPDX-License-Identifier: Apache-2.0
//
// --dry-run and --verbose.
#include <doctest/doctest.h>
#include <unistd.h>

#include "support/command.hpp"
#include "support/place.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using sbx::test::Ended;
using sbx::test::Place;
using sbx::test::sbx_run;
using sbx::test::TempDir;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("a dry run says the mounts, the identity and the command") {
  const TempDir dir;

  const Ended ended = sbx_run({"--dry-run", "--bind", dir.path().native() + ":/data", "--tmpfs",
                               "/scratch", "--hostname", "box", "--", "sh", "-c", "exit 9"});

  CHECK(ended.status == 0);
  CHECK(ended.err.empty());
  CHECK(has_line(ended.out, "bind '" + dir.path().native() + "' on '/data'"));
  CHECK(has_line(ended.out, "mount tmpfs on '/scratch'"));
  CHECK(has_line(ended.out, "hostname: box"));
  CHECK(has_line(ended.out, "capabilities:"));
  CHECK(has_line(ended.out, "no_new_privs: yes"));
  CHECK(has_line(ended.out, "process 1: the init"));
  CHECK(has_line(ended.out, "command: sh -c exit 9"));
}

TEST_CASE("a dry run says what sbx-run itself would do") {
  const Ended ended =
      sbx_run({"--dry-run", "--name", "a", "--net", "user", "--timeout", "1.5s", "true"});

  CHECK(has_line(ended.out, "name: a"));
  CHECK(has_line(ended.out, "network: pasta"));
  CHECK(has_line(ended.out, "timeout: 1500 ms"));
}

TEST_CASE("a dry run makes no file and starts no process") {
  const Place place;
  const TempDir dir;
  const std::string word = sbx::test::mark("dry");

  const Ended ended =
      place.run({"--dry-run", "--detach", "--name", "a", "--report", dir.path() / "report",
                 "--bind", dir.path(), "--", "sh", "-c", "sleep 60; : " + word});

  CHECK(ended.status == 0);
  CHECK_FALSE(std::filesystem::exists(place.path()));
  CHECK(std::filesystem::is_empty(dir.path()));
  CHECK(sbx::test::processes_with(word) == 0);
}

TEST_CASE("a dry run of what cannot be done says why not") {
  const Ended ended = sbx_run({"--dry-run", "--bind", "/no/such/place", "true"});

  CHECK(ended.status == 125);
  CHECK(ended.err == "sbx-run: cannot bind '/no/such/place': No such file or directory\n");
}

TEST_CASE("a verbose run says on standard error what a dry run says, and does it") {
  const Ended dry =
      sbx_run({"--dry-run", "--userns", "0:" + std::to_string(::geteuid()) + ":1", "echo", "ran"});
  const Ended verbose =
      sbx_run({"--verbose", "--userns", "0:" + std::to_string(::geteuid()) + ":1", "echo", "ran"});

  CHECK(verbose.status == 0);
  CHECK(verbose.out == "ran\n");
  CHECK(verbose.err == dry.out);
}
