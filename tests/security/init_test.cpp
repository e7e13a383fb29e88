// SPDX-License-Identifier: Apache-2.0
//
// Process 1 against programs that would hold it up or end its rule.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "support/child.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"

using namespace std::chrono_literals;
using sbx::Sandbox;
using sbx::test::shell;

namespace {

/// Looks at every new process and does `deed` to it, and says what succeeded.
std::string over_new_processes(const std::string& deed) {
  return "i=$$; while :; do i=$((i+1)); n=0; while [ $n -lt 20 ]; do p=$((i+n)); n=$((n+1)); " +
         deed + "; done; i=$((i-1)); done";
}

int enter_some(Sandbox& sandbox) {
  int well = 0;
  for (int i = 0; i < 10; ++i) {
    sbx::Process process = sandbox.exec({.argv = {"true"}});
    if (process.wait_for(5s)) ++well;
  }
  return well;
}

}  // namespace

// a request that is answered only when the new program runs
TEST_CASE("a program that stops every new process does not freeze process 1") {
  Sandbox sandbox =
      Sandbox::start(shell(over_new_processes("[ $p != $$ ] && kill -STOP $p 2>/dev/null")));
  int started = 0;
  for (int i = 0; i < 10; ++i) {
    const sbx::Process process = sandbox.exec({.argv = {"true"}});
    ++started;
  }
  sandbox.signal(SIGKILL);

  CHECK(started == 10);
  CHECK(sandbox.wait_for(5s).has_value());
}

// CVE-2016-9962
TEST_CASE("who enters shows no descriptor, directory or memory before it is a program inside") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  sbx::Spec spec = shell(over_new_processes(
      "for l in /proc/$p/exe /proc/$p/cwd /proc/$p/fd/3 /proc/$p/fd/4 /proc/$p/fd/9; do "
      "x=$(readlink $l) && case $x in /usr/*|/|/proc*|/home*|/tmp*|pipe:*|/dev/null) ;; *) "
      "echo $l $x ;; esac; done"));
  spec.command.fds = {{ends[1], 1}};
  Sandbox sandbox = Sandbox::start(spec);
  ::close(ends[1]);

  CHECK(enter_some(sandbox) == 10);
  sandbox.kill();

  char seen[256]{};
  CHECK(::read(ends[0], seen, sizeof seen - 1) <= 0);
  CHECK(std::string(seen).empty());
  ::close(ends[0]);
}

// prlimit on process 1 by its own user
TEST_CASE("a program that takes process 1's descriptors away ends its sandbox, not its limits") {
  const std::string end = sbx::test::in_child([] {
    if (::geteuid() == 0) sbx::test::become_user(1977);
    sbx::Spec spec = shell("prlimit --pid 1 --nofile=0:0 2>/dev/null; while :; do :; done");
    spec.cpu_time_max = 300ms;
    Sandbox sandbox = Sandbox::start(spec);
    return std::string(sandbox.wait_for(5s) ? "ended" : "goes on");
  });

  CHECK(end == "ended");
}

// signals and floods at process 1
TEST_CASE("signals from inside neither end process 1 nor keep it from its work") {
  const std::string end = sbx::test::in_child([] {
    if (::geteuid() == 0) sbx::test::become_user(1977);
    Sandbox sandbox = Sandbox::start(
        shell("(while :; do for s in KILL STOP TERM SEGV 34 64 CHLD; do kill -$s 1; done; done) "
              "2>/dev/null & while :; do (exit 0) & done 2>/dev/null"));
    const int well = enter_some(sandbox);
    sandbox.signal(SIGKILL);
    return std::to_string(well) + (sandbox.wait_for(5s) ? " ended" : " goes on");
  });

  CHECK(end == "10 ended");
}

// double forks, sessions, stops and ignored signals
TEST_CASE("nothing outlives the main program, however it hides") {
  const std::string mark = "8" + std::to_string(::getpid()) + ".5";
  const sbx::Output output = sbx::run(
      shell("trap '' HUP TERM INT; for i in 1 2 3; do (setsid sh -c 'trap \"\" HUP; sleep " + mark +
            "' & ) ; done; (kill -STOP $(sh -c 'echo $PPID')) & exit 3"));

  CHECK(output.report.status == 3);
  CHECK(sbx::test::processes_with(mark) == 0);
}
