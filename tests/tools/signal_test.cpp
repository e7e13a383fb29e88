// SPDX-License-Identifier: Apache-2.0
//
// Signals sent to sbx-run reach the command, and its own end comes back.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "support/command.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::ProcessSet;
using sbx::test::Program;
using sbx::test::sbx_run_start;
using sbx::test::Start;

namespace {

/// A shell that says "up", and exits with 40 when it gets the signal.
Start start_catcher(const std::string& signal, std::vector<std::string> flags = {}) {
  const std::string script =
      "trap 'echo caught; exit 40' " + signal + "; echo up; while :; do sleep 0.01 & wait $!; done";
  flags.insert(flags.end(), {"--", "/bin/sh", "-c", script});
  return sbx_run_start(std::move(flags));
}

/// What comes back when a command that handles `signal` runs and sbx-run is sent it.
int status_after(int signal, const std::string& name, std::vector<std::string> flags = {}) {
  Program program(start_catcher(name, std::move(flags)));
  if (!program.says("up")) return -2;
  program.signal(signal);
  return program.wait().status;
}

/// Likewise for a command that does not handle it.
int status_of_default(int signal) {
  Program program(sbx_run_start({"--", "/bin/sh", "-c", "echo up; exec sleep 60"}));
  if (!program.says("up\n")) return -2;
  program.signal(signal);
  return program.wait().status;
}

}  // namespace

TEST_CASE("a signal sent to sbx-run reaches the command, whose own status comes back") {
  CHECK(status_after(SIGTERM, "TERM") == 40);
  CHECK(status_after(SIGINT, "INT") == 40);
  CHECK(status_after(SIGHUP, "HUP") == 40);
  CHECK(status_after(SIGQUIT, "QUIT") == 40);
  CHECK(status_after(SIGUSR1, "USR1") == 40);
  CHECK(status_after(SIGUSR2, "USR2") == 40);
  CHECK(status_after(SIGWINCH, "WINCH") == 40);
  CHECK(status_after(SIGCONT, "CONT") == 40);
}

TEST_CASE("signals reach a command that is process 1, too") {
  CHECK(status_after(SIGTERM, "TERM", {"--no-init"}) == 40);
  CHECK(status_after(SIGUSR1, "USR1", {"--no-init"}) == 40);
}

TEST_CASE("signals reach a command on a terminal of its own, too") {
  CHECK(status_after(SIGTERM, "TERM", {"--tty"}) == 40);
  CHECK(status_after(SIGUSR1, "USR1", {"--tty"}) == 40);
  CHECK(status_after(SIGWINCH, "WINCH", {"--tty"}) == 40);
}

TEST_CASE("a signal that the command does not handle ends it as it would outside") {
  CHECK(status_of_default(SIGTERM) == 128 + SIGTERM);
  CHECK(status_of_default(SIGINT) == 128 + SIGINT);
  CHECK(status_of_default(SIGHUP) == 128 + SIGHUP);
  CHECK(status_of_default(SIGUSR1) == 128 + SIGUSR1);
}

TEST_CASE("a signal that the command ignores leaves it running") {
  Program program(sbx_run_start({"--", "/bin/sh", "-c",
                                 "trap '' TERM; trap 'exit 41' USR1; echo up; "
                                 "while :; do sleep 0.01 & wait $!; done"}));
  REQUIRE(program.says("up\n"));

  program.signal(SIGTERM);
  program.signal(SIGUSR1);

  CHECK(program.wait().status == 41);
}

TEST_CASE("signals that come one after the other all arrive") {
  Program program(sbx_run_start({"--", "/bin/sh", "-c",
                                 "trap 'echo one' USR1; trap 'echo two' USR2; trap 'exit 42' TERM; "
                                 "echo up; while :; do sleep 0.01 & wait $!; done"}));
  REQUIRE(program.says("up\n"));

  program.signal(SIGUSR1);
  REQUIRE(program.says("one\n"));
  program.signal(SIGUSR2);
  REQUIRE(program.says("two\n"));
  program.signal(SIGTERM);

  CHECK(program.wait().status == 42);
}

TEST_CASE("a signal reaches a command at its very first step") {
  Start start = sbx_run_start({"--", "/bin/sh", "-c", "kill -USR1 $$"});
  CHECK(sbx::test::run(start).status == 128 + SIGUSR1);

  Program program(sbx_run_start({"--", "sh", "-c", "echo up; exec sleep 60"}));
  REQUIRE(program.says("up\n"));
  program.signal(SIGTERM);
  CHECK(program.wait().status == 128 + SIGTERM);
}

TEST_CASE("a signal goes to the command alone, not to its children") {
  Program program(sbx_run_start({"--", "/bin/sh", "-c",
                                 "sh -c 'trap \"echo child\" USR1; echo up; "
                                 "while :; do sleep 0.01 & wait $!; done' & "
                                 "trap 'echo parent; exit 43' USR1; "
                                 "while :; do sleep 0.01 & wait $!; done"}));
  REQUIRE(program.says("up\n"));

  program.signal(SIGUSR1);
  const auto ended = program.wait();

  CHECK(ended.status == 43);
  CHECK(ended.out == "up\nparent\n");
}

TEST_CASE("a hangup that the caller ignores is ignored, as nohup wants it") {
  Start start = sbx_run_start({"--", "/bin/sh", "-c",
                               "trap 'echo hangup' HUP; trap 'exit 40' USR1; echo up; "
                               "while :; do sleep 0.01 & wait $!; done"});
  start.argv.insert(start.argv.begin(), "nohup");
  Program program(start);
  REQUIRE(program.says("up\n"));

  program.signal(SIGHUP);
  program.signal(SIGUSR1);
  const auto ended = program.wait();

  CHECK(ended.status == 40);
  CHECK(ended.out == "up\n");
}

TEST_CASE("a signal that the caller ignores reaches the command when somebody sends it") {
  Start start = start_catcher("INT");
  start.before_exec = [] { ::signal(SIGINT, SIG_IGN); };
  Program program(start);
  REQUIRE(program.says("up\n"));

  program.signal(SIGINT);

  CHECK(program.wait().status == 40);
}

TEST_CASE("the command starts with no signal blocked or ignored, whatever the caller does") {
  Start start = sbx_run_start({"--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  start.before_exec = [] {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    ::signal(SIGUSR1, SIG_IGN);
    ::signal(SIGCHLD, SIG_IGN);
  };

  CHECK(sbx::test::run(start).out == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("an ignored SIGCHLD does not lose the command's status") {
  Start start = sbx_run_start({"--", "sh", "-c", "exit 44"});
  start.before_exec = [] { ::signal(SIGCHLD, SIG_IGN); };
  Start bare = sbx_run_start({"--no-init", "--", "sh", "-c", "exit 45"});
  bare.before_exec = start.before_exec;

  CHECK(sbx::test::run(start).status == 44);
  CHECK(sbx::test::run(bare).status == 45);
}

TEST_CASE("on a terminal sbx-run stops with its command and goes on with it") {
  Start start = sbx_run_start({"--", "/bin/sh", "-c", "echo up; kill -STOP $$; exit 46"});
  start.terminal = true;
  Program program(start);
  REQUIRE(program.says("up"));
  REQUIRE(sbx::test::wait_until([&] { return sbx::test::state_of(program.pid()) == 'T'; }));

  program.signal(SIGCONT);

  CHECK(program.wait().status == 46);
}

TEST_CASE("without a terminal, where nobody would continue it, sbx-run does not stop") {
  Start start = sbx_run_start(
      {"--timeout", "300ms", "--", "/bin/sh", "-c", "echo up; kill -STOP $$; exit 46"});
  start.before_exec = [] { ::setsid(); };

  CHECK(sbx::test::run(start).status == 124);
}

TEST_CASE("SIGTSTP stops the command and sbx-run, SIGCONT lets both go on") {
  Program program(start_catcher("USR1"));
  REQUIRE(program.says("up\n"));

  program.signal(SIGTSTP);
  REQUIRE(sbx::test::wait_until([&] { return sbx::test::state_of(program.pid()) == 'T'; }));
  program.signal(SIGCONT);
  program.signal(SIGUSR1);

  CHECK(program.wait().status == 40);
}
