// SPDX-License-Identifier: Apache-2.0
//
// sbx-run on a terminal, with and without one of the command's own.
#include <doctest/doctest.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <string>

#include "support/command.hpp"
#include "support/place.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using namespace std::chrono_literals;
using sbx::test::Ended;
using sbx::test::mark;
using sbx::test::Place;
using sbx::test::processes_with;
using sbx::test::Program;
using sbx::test::sbx_run;
using sbx::test::sbx_run_start;
using sbx::test::Start;
using sbx::test::tool;
using sbx::test::wait_until;

#define REQUIRE_TERMINALS() \
  if (::access("/dev/ptmx", R_OK | W_OK) < 0) SBX_SKIP("needs /dev/ptmx")

namespace {

constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";
constexpr const char* kCtrlZ = "\x1a";
constexpr const char* kCtrlBackslash = "\x1c";

/// sbx-run with `flags` and a shell script, at the head of a terminal.
Start on_terminal(std::vector<std::string> flags, std::string script) {
  flags.insert(flags.end(), {"--", "bash", "-c", std::move(script)});
  Start start = sbx_run_start(std::move(flags));
  start.terminal = true;
  return start;
}

/// Says "up" and waits, in Perl, as a shell may have a signal at the wrong moment: one between
/// dash's vfork() and its child's execve() is lost on the child, and bash 5.2 spins now and then
/// when SIGINT, trapped, meets its fork().
const std::string kUpForever = "syswrite STDOUT, qq(up\\n); sleep 1 while 1";

/// A shell with job control, which does not echo what is typed, and where $R is sbx-run.
Start outer_shell() {
  return {.argv = {"bash", "--norc", "--noprofile", "--noediting", "-i"},
          .environment = {"PATH=/usr/bin:/bin", "PS1=ready> ", "TERM=dumb",
                          "R=" + tool("sbx-run").native()},
          .terminal = true};
}

termios mode_of(const Program& program) {
  termios mode{};
  ::tcgetattr(program.terminal().fd(), &mode);
  return mode;
}

bool same(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag &&
         a.c_lflag == b.c_lflag;
}

/// Whether the terminal has the mode of a new one when sbx-run has ended.
bool restores(Start start, const std::string& typed = "") {
  start.terminal = true;
  Program program(start);
  const termios before = mode_of(program);
  if (!typed.empty() && !program.says("up")) return false;
  program.type(typed);
  return program.wait().status >= 0 && same(mode_of(program), before);
}

}  // namespace

TEST_CASE("with --tty the command's standard three are a terminal with a name, and /dev/tty") {
  REQUIRE_TERMINALS();
  Program program(
      on_terminal({"--tty"},
                  "tty; test -t 0 -a -t 1 -a -t 2 && echo three; echo controlling > /dev/tty; "
                  "echo $(ls /dev/pts)"));

  const Ended ended = program.wait();

  CHECK(ended.status == 0);
  CHECK(ended.out == "/dev/pts/0\r\nthree\r\ncontrolling\r\n0 ptmx\r\n");
}

TEST_CASE("what is typed reaches the command, from its input and from /dev/tty") {
  REQUIRE_TERMINALS();
  Program program(on_terminal({"--tty"}, "echo up; read a; read b < /dev/tty; echo $a-$b"));
  REQUIRE(program.says("up"));

  program.type("one\rtwo\r");

  CHECK(program.says("one-two"));
  CHECK(program.wait().status == 0);
}

TEST_CASE("a password that is asked for on /dev/tty is not shown") {
  REQUIRE_TERMINALS();
  Program program(on_terminal({"--tty"}, "read -s -p 'Pass''word: ' p < /dev/tty; echo ${#p}"));
  REQUIRE(program.says("Password: "));

  program.type("secret\r");
  const Ended ended = program.wait();

  CHECK(ended.out.find("secret") == std::string::npos);
  CHECK(ended.out.ends_with("6\r\n"));
}

TEST_CASE("without --tty the caller's terminal is the command's input, but not a controlling one") {
  REQUIRE_TERMINALS();
  Program program(
      on_terminal({}, "test -t 0 && echo terminal; : 2>/dev/null < /dev/tty || echo none"));

  CHECK(program.wait().out.find("terminal\r\n") != std::string::npos);
}

TEST_CASE("the command finds the size of the caller's terminal from its first step on") {
  REQUIRE_TERMINALS();
  Start start = sbx_run_start({"--tty", "stty", "size"});
  start.terminal = true;

  CHECK(sbx::test::run(start).out == "24 80\r\n");
}

TEST_CASE("a new size reaches the command, with a signal") {
  REQUIRE_TERMINALS();
  Program program(on_terminal(
      {"--tty"}, "trap 'stty size; exit 3' WINCH; echo up; while :; do sleep 0.05; done"));
  REQUIRE(program.says("up"));
  // The size that the terminal has from the start may come with a signal, too.
  program.terminal().resize({.rows = 50, .columns = 132});

  const Ended ended = program.wait();

  CHECK(ended.status == 3);
  CHECK(ended.out.ends_with("50 132\r\n"));
}

TEST_CASE("Ctrl-C reaches the command, whose own status comes back") {
  REQUIRE_TERMINALS();
  const auto status = [](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--", "perl", "-e", "$SIG{INT} = sub { exit 41 };" + kUpForever});
    Start start = sbx_run_start(std::move(flags));
    start.terminal = true;
    Program program(start);
    if (!program.says("up")) return -2;
    program.type(kCtrlC);
    return program.wait().status;
  };

  CHECK(status({"--tty"}) == 41);
  CHECK(status({}) == 41);
  CHECK(status({"--tty", "--no-init"}) == 41);
}

TEST_CASE("Ctrl-C and Ctrl-\\ end a command that does not handle them, with its children") {
  REQUIRE_TERMINALS();
  const std::string word = mark("typed");
  const std::string script = "sh -c 'perl -e \"" + kUpForever + "\"; : " + word + "'; exit";
  const auto status = [&](std::vector<std::string> flags, const char* key) {
    flags.insert(flags.end(), {"--", "sh", "-c", script});
    Start start = sbx_run_start(std::move(flags));
    start.terminal = true;
    Program program(start);
    if (!program.says("up")) return -2;
    program.type(key);
    return program.wait().status;
  };

  CHECK(status({"--tty"}, kCtrlC) == 128 + SIGINT);
  CHECK(status({}, kCtrlC) == 128 + SIGINT);
  CHECK(status({"--tty"}, kCtrlBackslash) == 128 + SIGQUIT);
  CHECK(status({}, kCtrlBackslash) == 128 + SIGQUIT);
  CHECK(processes_with(word) == 0);
}

TEST_CASE("Ctrl-D ends the command's input") {
  REQUIRE_TERMINALS();
  Program program(on_terminal({"--tty"}, "echo up; cat > /dev/null; exit 5"));
  REQUIRE(program.says("up"));

  program.type(kCtrlD);

  CHECK(program.wait().status == 5);
}

TEST_CASE("Ctrl-Z stops the command and sbx-run for the outer shell, fg lets both go on") {
  REQUIRE_TERMINALS();
  Program shell(outer_shell());
  shell.type(
      "stty -echo; $R --tty -- bash -c 'echo up; while read l; do echo got $l; done; exit 6'\n");
  REQUIRE(shell.says("up\r\n"));
  shell.type(kCtrlZ);
  REQUIRE(shell.says("Stopped"));
  shell.type("echo in between\n");
  REQUIRE(shell.says("in between\r\n"));

  shell.type("fg\n");
  shell.type("word\n");
  CHECK(shell.says("got word"));
  shell.type(kCtrlD);
  REQUIRE(shell.says("ready> "));
  shell.type("echo status $?\n");

  CHECK(shell.says("status 6\r\n"));
}

TEST_CASE("without --tty Ctrl-Z and fg work as well") {
  REQUIRE_TERMINALS();
  Program shell(outer_shell());
  shell.type("stty -echo; $R -- bash -c 'echo up; while read l; do echo got $l; done; exit 7'\n");
  REQUIRE(shell.says("up\r\n"));
  shell.type(kCtrlZ);
  REQUIRE(shell.says("Stopped"));

  shell.type("fg\n");
  shell.type("word\n");
  CHECK(shell.says("got word"));
  shell.type(kCtrlD);
  REQUIRE(shell.says("ready> "));
  shell.type("echo status $?\n");

  CHECK(shell.says("status 7\r\n"));
}

TEST_CASE("a stopped sandbox can go on in the background") {
  REQUIRE_TERMINALS();
  Program shell(outer_shell());
  shell.type("stty -echo; $R -- bash -c 'echo up; sleep 0.2; echo worked' < /dev/null\n");
  REQUIRE(shell.says("up\r\n"));
  shell.type(kCtrlZ);
  REQUIRE(shell.says("Stopped"));

  shell.type("bg\n");

  CHECK(shell.says("worked\r\n"));
}

TEST_CASE("the terminal has its own mode while the sandbox is stopped") {
  REQUIRE_TERMINALS();
  Program shell(outer_shell());
  const termios before = mode_of(shell);
  shell.type("$R --tty -- bash -c 'echo u''p; cat'\n");
  REQUIRE(shell.says("up\r\n"));
  REQUIRE(wait_until([&] { return !same(mode_of(shell), before); }));

  shell.type(kCtrlZ);
  REQUIRE(shell.says("Stopped"));

  CHECK(wait_until([&] { return same(mode_of(shell), before); }));
}

TEST_CASE("the terminal has its old mode again after every kind of end") {
  REQUIRE_TERMINALS();
  CHECK(restores(sbx_run_start({"--tty", "true"})));
  CHECK(restores(sbx_run_start({"--tty", "no-such-program"})));
  CHECK(restores(sbx_run_start({"--tty", "--timeout", "100ms", "sleep", "60"})));
  CHECK(restores(sbx_run_start({"--tty", "--", "sh", "-c", "kill -9 $$"})));
  CHECK(restores(on_terminal({"--tty"}, "stty raw -echo; echo up; sleep 60 & read x"), "x\n\r"));
  CHECK(restores(on_terminal({"--tty"}, "echo up; sleep 60"), kCtrlC));
}

TEST_CASE("an inner shell has job control") {
  REQUIRE_TERMINALS();
  Start start = sbx_run_start(
      {"--tty", "--env", "PS1=", "--", "bash", "--norc", "--noprofile", "--noediting", "-i"});
  start.terminal = true;
  Program shell(start);
  shell.type("stty -echo; echo read''y\n");
  REQUIRE(shell.says("ready\r\n"));

  shell.type("sh -c 'echo up; exec sleep 60'\n");
  REQUIRE(shell.says("up\r\n"));
  shell.type(kCtrlZ);
  REQUIRE(shell.says("Stopped"));
  shell.type("bg; jobs\n");
  CHECK(shell.says("Running"));
  shell.type("kill %1; wait; echo after''wards\n");
  CHECK(shell.says("afterwards\r\n"));
  shell.type("exit 8\n");
  const Ended ended = shell.wait();

  CHECK(ended.status == 8);
  CHECK(ended.out.find("no job control") == std::string::npos);
}

TEST_CASE("a program of the inner shell is ended by Ctrl-C, the shell is not") {
  REQUIRE_TERMINALS();
  Start start = sbx_run_start(
      {"--tty", "--env", "PS1=", "--", "bash", "--norc", "--noprofile", "--noediting", "-i"});
  start.terminal = true;
  Program shell(start);
  shell.type("stty -echo; echo read''y\n");
  REQUIRE(shell.says("ready\r\n"));

  shell.type("perl -e '$SIG{INT} = sub { print qq(caught\\n); exit 9 };" + kUpForever + "'\n");
  REQUIRE(shell.says("up\r\n"));
  shell.type(kCtrlC);
  REQUIRE(shell.says("caught\r\n"));
  shell.type("echo status $?; exit 0\n");

  CHECK(shell.says("status 9\r\n"));
  CHECK(shell.wait().status == 0);
}

TEST_CASE("what entered a sandbox has a terminal of its own, with job control") {
  REQUIRE_TERMINALS();
  const Place place;
  Program main(place.start({"--name", "a", "--", "sh", "-c", "echo up; read line"}));
  REQUIRE(main.says("up\n"));
  Start start = place.start({"--enter", "a", "--tty", "--env", "PS1=", "--", "bash", "--norc",
                             "--noprofile", "--noediting", "-i"});
  start.terminal = true;
  Program shell(start);
  shell.type("stty -echo; tty; stty size; sleep 60 & jobs; exit 4\n");

  CHECK(shell.says("/dev/pts/0\r\n24 80\r\n"));
  CHECK(shell.says("Running"));
  CHECK(shell.wait().status == 4);
}

TEST_CASE("with --tty the input may come from a file and the output go to a pipe") {
  REQUIRE_TERMINALS();
  const Ended ended =
      sbx_run({"--tty", "--", "bash", "-c", "stty -echo; echo up; cat; exit 3"}, "");
  const Ended word = sbx_run({"--tty", "--", "cat"}, "line\n");
  const Ended half = sbx_run({"--tty", "--", "cat"}, "no newline");

  CHECK(ended.status == 3);
  CHECK(ended.out == "up\r\n");
  CHECK(word.status == 0);
  CHECK(word.out.find("line\r\n") != std::string::npos);
  CHECK(half.status == 0);
  CHECK(half.out.find("no newline") != std::string::npos);
}

TEST_CASE("a megabyte goes through the command's terminal in both directions at once") {
  REQUIRE_TERMINALS();
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "a line of fifty-two characters, newline included...\n";

  const Ended ended =
      sbx_run({"--tty", "--", "sh", "-c", "stty -echo -onlcr; cat | tail -c 52"}, lines);

  CHECK(ended.status == 0);
  CHECK(ended.out.ends_with("a line of fifty-two characters, newline included...\n"));
}

TEST_CASE("a command that writes without end to its terminal is out of time all the same") {
  REQUIRE_TERMINALS();
  CHECK(sbx_run({"--tty", "--timeout", "300ms", "yes"}).status == 124);

  Program unread(sbx_run_start({"--tty", "--timeout", "300ms", "yes"}));
  CHECK(wait_until([&] { return sbx::test::state_of(unread.pid()) == 'Z'; }));
  CHECK(unread.wait().status == 124);
}

TEST_CASE("all that the command writes to its terminal comes out before sbx-run ends") {
  REQUIRE_TERMINALS();
  const Ended ended = sbx_run({"--tty", "--", "sh", "-c", "stty -opost; seq 200000"});

  CHECK(ended.status == 0);
  CHECK(ended.out.size() == 1'288'895);
  CHECK(ended.out.ends_with("\n200000\n"));
}

TEST_CASE("output of the command's terminal that cannot be written is an error") {
  REQUIRE_TERMINALS();
  const auto ended_with = [](const std::string& status) {
    return sbx::test::run(
        {.argv = {"bash", "-c",
                  "exec \"$0\" --tty -- sh -c 'echo lost; exit " + status + "' > /dev/full",
                  tool("sbx-run").native()}});
  };
  const Ended ended = ended_with("0");

  CHECK(ended.status == 125);
  CHECK(ended.err == "sbx-run: cannot pass the command's output on: No space left on device\n");
  CHECK(ended_with("3").status == 3);
}

TEST_CASE("when the terminal goes away, so does the sandbox") {
  REQUIRE_TERMINALS();
  const std::string word = mark("hangup");
  Program with(on_terminal({"--tty"}, "echo up; sleep 60; : " + word));
  Program without(on_terminal({}, "echo up; sleep 60; : " + word));
  REQUIRE(with.says("up"));
  REQUIRE(without.says("up"));

  with.hang_up();
  without.hang_up();

  CHECK(wait_until([&] { return processes_with(word) == 0; }));
}

TEST_CASE("sbx-run --tty in the background of a shell waits until it is brought to the front") {
  REQUIRE_TERMINALS();
  Program shell(outer_shell());
  shell.type("stty -echo; $R --tty -- bash -c 'read l; echo got $l' &\n");
  shell.type("echo su''re\n");
  REQUIRE(shell.says("sure\r\n"));

  shell.type("fg\n");
  shell.type("word\n");

  CHECK(shell.says("got word"));
}
