// SPDX-License-Identifier: Apache-2.0
//
// How a sandbox ends, and what its report says.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/child.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"

using namespace std::chrono_literals;
using sbx::ExitReason;
using sbx::Sandbox;
using sbx::test::processes_with;
using sbx::test::shell;

namespace {

bool is_readable(int fd) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) > 0;
}

}  // namespace

TEST_CASE("the report holds the command's own exit status") {
  Sandbox sandbox = Sandbox::start(shell("exit 7"));

  const sbx::Report report = sandbox.wait();

  CHECK(report.reason == ExitReason::kExited);
  CHECK(report.status == 7);
  CHECK_FALSE(report.ok());
}

TEST_CASE("the report tells the signal that ended the command") {
  Sandbox sandbox = Sandbox::start(shell("kill -9 $$"));

  const sbx::Report report = sandbox.wait();

  CHECK(report.reason == ExitReason::kSignal);
  CHECK(report.signal == SIGKILL);
  CHECK(report.status == 137);
}

TEST_CASE("without an init the command is process 1 and its status comes back") {
  sbx::Spec spec = shell("echo $$; exit 3");
  spec.init = sbx::Init::kNone;

  const sbx::Output output = sbx::run(spec);

  CHECK(output.out == "1\n");
  CHECK(output.report.status == 3);
}

TEST_CASE(
    "a sandbox that is waited for longer than it may run is killed and reported as timed out") {
  Sandbox sandbox = Sandbox::start(shell("sleep 60"));

  const sbx::Report report = sandbox.wait_or_kill(50ms);

  CHECK(report.reason == ExitReason::kTimeout);
  CHECK(report.wall < 10s);
}

TEST_CASE("waiting with a deadline leaves the sandbox running when the deadline passes") {
  Sandbox sandbox = Sandbox::start(shell("read line; exit 4"));
  sbx::Spec waiting = shell("sleep 60");
  Sandbox other = Sandbox::start(waiting);

  CHECK_FALSE(other.wait_for(20ms).has_value());
  CHECK_FALSE(is_readable(other.fd()));
}

TEST_CASE("the descriptor of a sandbox becomes readable at its end") {
  Sandbox sandbox = Sandbox::start(shell("exit 0"));

  pollfd end{.fd = sandbox.fd(), .events = POLLIN, .revents = 0};

  CHECK(::poll(&end, 1, 10'000) == 1);
  CHECK(sandbox.wait().ok());
}

TEST_CASE("what the command leaves behind ends with it") {
  const std::string mark = "sbx-left-behind-" + std::to_string(::getpid());

  const sbx::Output output = sbx::run(shell("sh -c 'sleep 60; : " + mark + "' & exit 0"));

  CHECK(output.report.ok());
  CHECK(processes_with(mark) == 0);
}

TEST_CASE("the destructor of a handle kills everything inside") {
  const std::string mark = "sbx-destroyed-" + std::to_string(::getpid());
  {
    const Sandbox sandbox = Sandbox::start(shell("sh -c 'sleep 60; : " + mark + "' & sleep 60"));
    REQUIRE(sbx::test::wait_until([&] { return processes_with(mark) > 0; }));
  }

  CHECK(processes_with(mark) == 0);
}

TEST_CASE("a sandbox ends with the process that made it, even when that is killed") {
  const std::string mark = "sbx-orphan-" + std::to_string(::getpid());
  const pid_t maker = ::fork();
  if (maker == 0) {
    const Sandbox sandbox = Sandbox::start(shell("sh -c 'sleep 60; : " + mark + "' & sleep 60"));
    ::pause();
  }
  REQUIRE(sbx::test::wait_until([&] { return processes_with(mark) > 0; }));

  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);

  CHECK(sbx::test::wait_until([&] { return processes_with(mark) == 0; }));
}

TEST_CASE("a sandbox without an init ends with the process that made it, too") {
  const std::string mark = "sbx-bare-orphan-" + std::to_string(::getpid());
  const pid_t maker = ::fork();
  if (maker == 0) {
    sbx::Spec spec = shell("sleep 60; : " + mark);
    spec.init = sbx::Init::kNone;
    const Sandbox sandbox = Sandbox::start(spec);
    ::pause();
  }
  REQUIRE(sbx::test::wait_until([&] { return processes_with(mark) > 0; }));

  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);

  CHECK(sbx::test::wait_until([&] { return processes_with(mark) == 0; }));
}

TEST_CASE("a handle that is moved keeps its sandbox") {
  Sandbox first = Sandbox::start(shell("exit 5"));

  Sandbox second = std::move(first);
  first = Sandbox::start(shell("exit 6"));

  CHECK(second.wait().status == 5);
  CHECK(first.wait().status == 6);
}

TEST_CASE("a signal reaches the command") {
  sbx::Spec spec = shell("trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done");
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  spec.command.fds = {{ends[1], 1}};
  Sandbox sandbox = Sandbox::start(spec);
  char ready[8];
  REQUIRE(::read(ends[0], ready, sizeof ready) > 0);

  sandbox.signal(SIGUSR1);

  CHECK(sandbox.wait().status == 9);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a signal to a command that has just ended is not an error") {
  Sandbox sandbox = Sandbox::start(shell("exit 7"));
  siginfo_t info{};
  const auto pid = static_cast<id_t>(sandbox.pid());
  REQUIRE(::waitid(P_PID, pid, &info, WEXITED | WNOWAIT | __WALL) == 0);

  sandbox.signal(SIGTERM);

  CHECK(sandbox.wait().status == 7);
}

TEST_CASE("a command that does not read its input leaves its caller alone") {
  const std::string said = sbx::test::in_child([] {
    ::signal(SIGPIPE, SIG_DFL);
    const sbx::Output output = sbx::run(shell("exit 3"), {.input = std::string(1 << 20, 'x')});
    sigset_t pending;
    ::sigpending(&pending);
    return std::to_string(output.report.status) + (sigismember(&pending, SIGPIPE) ? " p" : "");
  });

  CHECK(said == "3");
}

TEST_CASE("a command without an end that could be seen is not run to its end") {
  sbx::Spec on_terminal = shell("true");
  on_terminal.command.terminal = true;

  CHECK_THROWS_AS(sbx::run({}), std::invalid_argument);
  CHECK_THROWS_AS(sbx::run(on_terminal), std::invalid_argument);
}

TEST_CASE("a wait that is too long to be counted is one for ever") {
  Sandbox sandbox = Sandbox::start(shell("exit 4"));

  CHECK(sandbox.wait_or_kill(std::chrono::milliseconds::max()).status == 4);
}

TEST_CASE("a run that has no time left is out of time at once") {
  CHECK(sbx::run(shell("sleep 60"), {.timeout = -1ms}).report.reason == ExitReason::kTimeout);
  CHECK(sbx::run(shell("sleep 60"), {.timeout = 0ms}).report.reason == ExitReason::kTimeout);
}

TEST_CASE("a processor time of nothing is refused") {
  sbx::Spec spec = shell("true");
  spec.cpu_time_max = 0ms;

  CHECK_THROWS_WITH_AS(Sandbox::start(spec), "the processor time is not more than 0",
                       std::invalid_argument);
}

TEST_CASE("processor time is limited for the whole tree together") {
  sbx::Spec spec = shell("while :; do :; done & while :; do :; done");
  spec.cpu_time_max = 300ms;

  const sbx::Output output = sbx::run(spec, {.timeout = 30s});

  CHECK(output.report.reason == ExitReason::kCpuTime);
  CHECK(output.report.cpu_user + output.report.cpu_system >= 300ms);
}

TEST_CASE("the report counts processor time and memory of what was reaped") {
  const sbx::Output output = sbx::run(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));

  CHECK(output.report.cpu_user > 1ms);
  CHECK(output.report.rss_max_bytes > 100'000);
  CHECK(output.report.wall >= output.report.cpu_user);
}

TEST_CASE("the exit status is known to a caller who ignores SIGCHLD") {
  const std::string said = sbx::test::in_child([] {
    ::signal(SIGCHLD, SIG_IGN);
    return std::to_string(sbx::run(shell("exit 11")).report.status);
  });

  CHECK(said == "11");
}

TEST_CASE("a program that is not there is told from one that cannot be executed") {
  CHECK_THROWS_WITH_AS(Sandbox::start({.command = {.argv = {"no-such-program"}}}),
                       "cannot execute 'no-such-program': No such file or directory",
                       sbx::ExecError);
  CHECK_THROWS_WITH_AS(Sandbox::start({.command = {.argv = {"/etc/passwd"}}}),
                       "cannot execute '/etc/passwd': Permission denied", sbx::ExecError);
}
