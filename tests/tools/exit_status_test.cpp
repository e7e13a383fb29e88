// SPDX-License-Identifier: Apache-2.0
//
// What sbx-run exits with, and that nothing is left when it does.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/command.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::Ended;
using sbx::test::mark;
using sbx::test::processes_with;
using sbx::test::ProcessSet;
using sbx::test::Program;
using sbx::test::sbx_run;
using sbx::test::sbx_run_shell;
using sbx::test::sbx_run_start;
using sbx::test::TempDir;

namespace {

int status_of(const std::string& script) { return sbx_run_shell({}, script).status; }

void write_script(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), mode);
}

std::string mounts() {
  std::ifstream file("/proc/self/mountinfo");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the command's own status comes back") {
  CHECK(sbx_run({"true"}).status == 0);
  CHECK(status_of("exit 3") == 3);
  CHECK(status_of("exit 124") == 124);
  CHECK(status_of("exit 255") == 255);
}

TEST_CASE("a command that a signal ends gives 128 and its number") {
  CHECK(status_of("kill -TERM $$") == 128 + SIGTERM);
  CHECK(status_of("kill -KILL $$") == 128 + SIGKILL);
  CHECK(status_of("kill -SEGV $$") == 128 + SIGSEGV);
  CHECK(status_of("kill -ABRT $$") == 128 + SIGABRT);
}

TEST_CASE("a command that is not there gives 127 and a line") {
  const Ended bare = sbx_run({"no-such-program"});
  const Ended path = sbx_run({"/no/such/program"});

  CHECK(bare.status == 127);
  CHECK(bare.err == "sbx-run: cannot execute 'no-such-program': No such file or directory\n");
  CHECK(path.status == 127);
  CHECK(path.err == "sbx-run: cannot execute '/no/such/program': No such file or directory\n");
}

TEST_CASE("a command that cannot be executed gives 126 and a line") {
  const Ended file = sbx_run({"/etc/passwd"});
  const Ended directory = sbx_run({"/usr"});

  CHECK(file.status == 126);
  CHECK(file.err == "sbx-run: cannot execute '/etc/passwd': Permission denied\n");
  CHECK(directory.status == 126);
  CHECK(directory.err == "sbx-run: cannot execute '/usr': Permission denied\n");
}

TEST_CASE("an executable file in no format that the kernel knows is given to the shell") {
  const TempDir dir;
  write_script(dir.path() / "script", "echo by the shell; exit 6\n", 0755);

  const Ended ended = sbx_run({"--ro-bind", dir.path().native() + ":/box", "/box/script"});

  CHECK(ended.out == "by the shell\n");
  CHECK(ended.status == 6);
}

TEST_CASE("a file without permission to execute gives 126 wherever it lies") {
  const TempDir dir;
  write_script(dir.path() / "script", "#!/bin/sh\nexit 0\n", 0644);

  CHECK(sbx_run({"--ro-bind", dir.path().native() + ":/box", "/box/script"}).status == 126);
}

TEST_CASE("a sandbox that cannot be made gives 125, a line, and nothing on standard output") {
  const Ended ended = sbx_run({"--rootfs", "/no/such/root", "true"});

  CHECK(ended.status == 125);
  CHECK(ended.out.empty());
  CHECK(ended.err == "sbx-run: cannot use the root '/no/such/root': No such file or directory\n");
}

TEST_CASE("without an init the statuses are the same") {
  CHECK(sbx_run_shell({"--no-init"}, "exit 9").status == 9);
  CHECK(sbx_run({"--no-init", "no-such-program"}).status == 127);
  CHECK(sbx_run({"--no-init", "/etc/passwd"}).status == 126);
  CHECK(sbx_run({"--no-init", "--timeout", "100ms", "sleep", "60"}).status == 124);
}

TEST_CASE("a command that is out of time gives 124") {
  const Ended ended = sbx_run({"--timeout", "100ms", "sleep", "60"});

  CHECK(ended.status == 124);
  CHECK(ended.err.empty());
}

TEST_CASE("a command that ignores SIGTERM is out of time all the same") {
  const std::string word = mark("deaf");

  CHECK(sbx_run_shell({"--timeout", "200ms"},
                      "trap '' TERM HUP INT; while :; do sleep 1; done; : " + word)
            .status == 124);
  CHECK(processes_with(word) == 0);
}

TEST_CASE("a command that ends in time keeps its status") {
  CHECK(sbx_run_shell({"--timeout", "1d"}, "exit 5").status == 5);
}

TEST_CASE("a time of nothing is over at once") {
  CHECK(sbx_run({"--timeout", "0", "sleep", "60"}).status == 124);
}

TEST_CASE("a command that has used up its processor time gives 128 and SIGXCPU") {
  const Ended ended = sbx_run_shell({"--cpu-time", "200ms"}, "while :; do :; done");

  CHECK(ended.status == 128 + SIGXCPU);
}

TEST_CASE("the processor time counts what daemons use as well") {
  const Ended ended =
      sbx_run_shell({"--cpu-time", "200ms"}, "setsid sh -c 'while :; do :; done' & sleep 60");

  CHECK(ended.status == 128 + SIGXCPU);
}

TEST_CASE("a daemon that the command leaves behind is not waited for") {
  const std::string word = mark("daemon");

  const Ended ended =
      sbx_run_shell({}, "setsid sh -c 'trap \"\" TERM HUP; sleep 60; : " + word + "' & exit 4");

  CHECK(ended.status == 4);
  CHECK(processes_with(word) == 0);
}

TEST_CASE("a command that closes everything and forks twice leaves nothing either") {
  const std::string word = mark("twice");
  const std::string script = "(setsid sh -c 'exec 0<&- 1>&- 2>&-; sleep 60; : " + word +
                             "' &) & while ! grep -qs " + word +
                             " /proc/[0-9]*/cmdline; do :; done; exit 7";

  CHECK(sbx_run_shell({}, script).status == 7);
  CHECK(processes_with(word) == 0);
}

TEST_CASE("SIGKILL of sbx-run ends all that ran below it") {
  const std::string word = mark("killed");
  Program program(sbx_run_start(
      {"--", "sh", "-c", "setsid sh -c 'sleep 60; : " + word + "' & echo up; sleep 60"}));
  REQUIRE(program.says("up\n"));
  const auto below = ProcessSet::below(program.pid());

  program.signal(SIGKILL);

  CHECK(program.wait().status == 128 + SIGKILL);
  CHECK(below.size() >= 3);
  CHECK(below.ends());
  CHECK(processes_with(word) == 0);
}

TEST_CASE("SIGKILL of sbx-run ends a command without an init, too") {
  Program program(sbx_run_start({"--no-init", "--", "sh", "-c", "echo up; sleep 60 & wait"}));
  REQUIRE(program.says("up\n"));
  const auto below = ProcessSet::below(program.pid());

  program.signal(SIGKILL);

  CHECK(program.wait().status == 128 + SIGKILL);
  CHECK(below.ends());
}

TEST_CASE("no mount of a sandbox reaches the caller, nor stays") {
  const std::string before = mounts();

  const std::string during = sbx_run({"--overlay", "--tmpfs", "/data", "true"}).err + mounts();

  CHECK(during == before);
}

TEST_CASE("a hundred sandboxes at once give each its own status") {
  const std::string script =
      "for i in $(seq 100); do '" + sbx::test::tool("sbx-run").native() +
      "' -- sh -c \"exit $i\" & pids=\"$pids $!\"; done; "
      "i=0; for pid in $pids; do i=$((i+1)); wait $pid; test $? = $i || echo wrong $i; done";

  const Ended ended = sbx::test::run({.argv = {"sh", "-c", script}});

  CHECK(ended.out.empty());
  CHECK(ended.err.empty());
}
