// SPDX-License-Identifier: Apache-2.0
//
// What a program does to the sbx-run that waits for it, and what others do to its names.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "support/command.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::sbx_run;
using sbx::test::sbx_run_shell;
using sbx::test::sbx_run_start;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

constexpr int kTimeout = 124;
constexpr int kRefused = 125;

}  // namespace

// the time does not run while the one who keeps it is stopped
TEST_CASE("a program that stops itself does not stop the clock") {
  CHECK(sbx_run_shell({"--timeout", "300ms"}, "kill -STOP $$").status == kTimeout);

  auto start = sbx_run_start({"--timeout", "300ms", "--", "/bin/sh", "-c", "kill -STOP $$"});
  start.terminal = true;
  CHECK(sbx::test::run(start, {}, 5s).status == kTimeout);
}

// the time does not run while its keeper waits for the terminal
TEST_CASE("a program that does not read its terminal does not stop the clock") {
  const auto start = sbx_run_start(
      {"--tty", "--timeout", "500ms", "--", "/bin/sh", "-c", "stty raw -echo; exec sleep 60"});

  CHECK(sbx::test::run(start, std::string(200'000, 'x'), 5s).status == kTimeout);
}

// two owners of one name
TEST_CASE("of several sandboxes that take one name at once, one gets it") {
  const TempDir dir;
  const auto start =
      sbx_run_start({"--run-dir", dir.path(), "--name", "one", "--", "sleep", "0.5"});
  sbx::test::Program first(start);
  sbx::test::Program second(start);
  sbx::test::Program third(start);

  const int sum = first.wait().status + second.wait().status + third.wait().status;

  CHECK(sum == 2 * kRefused);
  CHECK(fs::is_empty(dir.path()));
}

// CVE-2024-32462
TEST_CASE("a program whose name looks like a flag is a program") {
  CHECK(sbx_run({"--", "--bind"}).err ==
        "sbx-run: cannot execute '--bind': No such file or directory\n");
}

// CVE-2026-30892
TEST_CASE("a user that is no number and no name is refused") {
  for (const char* user : {"0x", "1:", "-1", "4294967295", "4294967296", " 5", "+5", ":5", "1:2:3",
                           "1:4294967295", "a\nb"}) {
    CHECK(sbx_run({"--user", user, "true"}).status == kRefused);
  }
}

// a caller that reads what a stranger put there
TEST_CASE("the list of users of a root is looked for inside of it, and only a file is read") {
  const TempDir root;
  fs::create_directory(root.path() / "etc");
  const auto run = [&] {
    return sbx_run({"--rootfs", root.path(), "--user", "daemon", "/bin/true"}).err;
  };
  fs::create_symlink("/etc/passwd", root.path() / "etc/passwd");
  CHECK(run() == "sbx-run: --user: there is no user 'daemon'\n");

  fs::remove(root.path() / "etc/passwd");
  REQUIRE(::mkfifo((root.path() / "etc/passwd").c_str(), 0644) == 0);
  CHECK(run() == "sbx-run: --user: there is no user 'daemon'\n");
}

// CVE-2022-31214, run directory of somebody else
TEST_CASE("a run directory that others may write to, or that is a link, is not used") {
  const TempDir dir;
  fs::create_directory(dir.path() / "open");
  ::chmod((dir.path() / "open").c_str(), 0777);
  fs::create_symlink("open", dir.path() / "link");

  for (const char* name : {"open", "link"}) {
    CHECK(sbx_run({"--run-dir", dir.path() / name, "--name", "x", "true"}).status == kRefused);
    CHECK(sbx_run({"--run-dir", dir.path() / name, "--enter", "x", "true"}).status == kRefused);
  }
}

// CVE-2016-8659, CVE-2022-31214: a caller who is less than the program
TEST_CASE("sbx-run refuses to be set-user-id") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  const fs::path copy = dir.path() / "sbx-run";
  fs::copy_file(sbx::test::tool("sbx-run"), copy);
  REQUIRE(::chown(copy.c_str(), 1978, 1978) == 0);
  REQUIRE(::chmod(copy.c_str(), 04755) == 0);
  sbx::test::Start start{.argv = {copy, "true"}};
  start.before_exec = [] { sbx::test::become_user(1977); };

  const auto ended = sbx::test::run(start);
  if (ended.err.find("error while loading shared libraries") != std::string::npos)
    SBX_SKIP("set-user-id, it does not find the libraries of this build");

  CHECK(ended.err == "sbx-run: set-user-id, set-group-id or with capabilities it is not safe\n");
  CHECK(ended.status == kRefused);
}

// a result written through a link
TEST_CASE("the report is not written through a symbolic link") {
  const TempDir dir;
  fs::create_symlink("target", dir.path() / "report");

  CHECK(sbx_run({"--report", dir.path() / "report", "true"}).status == kRefused);
  CHECK_FALSE(fs::exists(dir.path() / "target"));
}

// escape sequences in messages
TEST_CASE("what others wrote appears without control characters") {
  const std::string said = sbx_run({"--rootfs", "/no\033[31m", "x"}).err +
                           sbx_run({"no\033[31m"}).err +
                           sbx_run({"--dry-run", "--env", "A=\033[1m", "--", "x\033[2J"}).out +
                           sbx_run({"--rootfs",
                                    "/no\xc2\x9b"
                                    "1m",
                                    "x"})
                               .err;

  CHECK(said.find('\033') == std::string::npos);
  CHECK(said.find("\xc2\x9b") == std::string::npos);  // the same in one character
  CHECK(said.find("/no\\xc2\\x9b") != std::string::npos);
}
