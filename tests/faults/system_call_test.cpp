// SPDX-License-Identifier: Apache-2.0
//
// Each system call of a start fails once: the caller gets one error, or a sandbox that is as strict
// as ever; nothing hangs, crashes or stays behind.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "faults/leftover.hpp"
#include "faults/scenario.hpp"
#include "faults/tolerated.hpp"
#include "support/cgroup.hpp"
#include "support/command.hpp"
#include "support/pasta.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using faults::Caller;
using faults::Ground;
using faults::Inventory;
using faults::joined;
using faults::Scenario;
using sbx::test::Call;
using sbx::test::Counted;
using sbx::test::Deed;
using sbx::test::Fault;
using sbx::test::run_traced;
using sbx::test::to_string;
using sbx::test::Traced;

namespace {

/// What is said on the way, for whoever runs the whole by hand: SBX_TEST_LOG names the file.
void note(const std::string& line) {
  static const char* const path = std::getenv("SBX_TEST_LOG");
  if (path != nullptr) std::ofstream(path, std::ios::app) << line << "\n";
}

Traced traced(const Scenario& scenario, const Fault& fault = {}) {
  Traced run = run_traced(scenario.start, scenario.counted(), fault);
  std::erase(run.ended.out, '\r');  // as terminals end lines
  return run;
}

/// What is wrong with a run in which something failed; empty when nothing is.
std::string complaint(const Scenario& scenario, const Traced& good, const Fault& fault,
                      const Traced& run) {
  if (run.hung) return "hangs; there were: " + joined(run.left);
  if (!run.left.empty()) return "leaves processes: " + joined(run.left);
  // Who hears that the init is gone reports the end of his sandbox.
  const bool told_of_end = fault.error == ECONNRESET && scenario.caller == Caller::kTool;
  if (told_of_end && run.ended.status == 128 + SIGKILL) return {};
  if (run.ended.status != 0) {
    const std::string wrong = faults::fault_of_error(scenario.caller, run.ended);
    if (!wrong.empty()) return wrong;
    const std::size_t after = run.ended.out.find("after:\n");
    return after == std::string::npos ? "" : "changes its caller: " + run.ended.out.substr(after);
  }
  std::vector<std::string> changed;
  for (const std::string& line : faults::difference(good.ended.out, run.ended.out))
    if (!faults::is_tolerated(fault, line)) changed.push_back(line);
  for (const std::string& line : faults::difference(good.ended.err, run.ended.err))
    if (!faults::is_tolerated(fault, line)) changed.push_back(line);
  return changed.empty() ? "" : "is another sandbox: " + joined(changed);
}

/// All calls with each of their errors; or a sample, the first call of each kind among it.
std::vector<Fault> faults_for(const std::vector<Call>& calls, std::size_t stride) {
  std::vector<Fault> chosen;
  std::set<std::string> kinds;
  std::size_t number = 0;
  for (const Call& call : calls) {
    const bool first = kinds.insert(call.process + " " + std::to_string(call.number)).second;
    const bool in_sample = first || number % stride == 0;
    const Deed deed = call.number == SYS_close ? Deed::kFailLate : Deed::kFail;
    const auto errors = faults::errors_of(call.process, sbx::test::call_name(call.number));
    if (!errors.empty()) ++number;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const bool chosen_error = faults::test_all() || (in_sample && number % errors.size() == i);
      if (chosen_error) chosen.push_back({.at = call, .deed = deed, .error = errors[i]});
    }
  }
  return chosen;
}

std::string describe(const Fault& fault) {
  return to_string(fault.at) + " " + ::strerrorname_np(fault.error);
}

std::string outcome(const Traced& run) {
  if (!run.reached) return "not reached";
  return run.ended.status == 0 ? "goes on" : run.ended.err.substr(0, run.ended.err.find('\n'));
}

/// What the process that tidies up could not remove, the next start of the name does. The socket of
/// a program that uses the library itself is its own to remove.
void tidy_up(const Ground& ground, const Scenario& scenario, const Fault& fault) {
  if (scenario.caller == Caller::kLibrary && fault.at.number == SYS_unlinkat) {
    std::filesystem::remove(ground.run_directory() / "init.sock");
  } else {
    CHECK(traced(scenario).ended.status == 0);
  }
}

/// Runs `scenario` once for each fault.
void withstands_faults(const Ground& ground, const Scenario& scenario, std::size_t stride) {
  const Traced good = traced(scenario);
  REQUIRE_MESSAGE(good.ended.status == 0, good.ended.err);
  REQUIRE(good.ended.out.find("end\n") != std::string::npos);
  const Inventory before = Inventory::take();
  const std::vector<std::string> stands = ground.left();
  note("scenario " + scenario.name + ": " + std::to_string(good.calls.size()) + " calls");
  note(good.ended.out);

  const auto start = std::chrono::steady_clock::now();
  std::size_t runs = 0;
  std::size_t errors = 0;
  std::size_t not_reached = 0;
  for (const Fault& fault : faults_for(good.calls, stride)) {
    const Traced run = traced(scenario, fault);
    const std::string wrong = complaint(scenario, good, fault, run);
    const std::string what = scenario.name + ": " + describe(fault);
    CHECK_MESSAGE(wrong.empty(), what << ": " << wrong);
    if (ground.left() != stands) tidy_up(ground, scenario, fault);
    CHECK_MESSAGE(ground.left() == stands, what << ": leaves " << joined(ground.left()));
    note(what + ": " + outcome(run) + (wrong.empty() ? "" : " WRONG " + wrong));
    ++runs;
    if (run.ended.status != 0) ++errors;
    if (!run.reached) ++not_reached;
  }

  // What the last of them could not remove, a control group say, the next start does.
  CHECK(traced(scenario).ended.status == 0);
  CHECK(joined(before.left()) == "");
  // Loops that wait go round as often as they need to.
  CHECK(not_reached * 5 <= runs);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%s: %zu calls, %zu faults, %zu errors, %zu not reached, %.1f s\n",
              scenario.name.c_str(), good.calls.size(), runs, errors, not_reached, took.count());
}

}  // namespace

TEST_CASE("each system call of the library's start may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("plain", ground), 40);
}

TEST_CASE("each system call of a start without an init may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("bare", ground), 60);
}

TEST_CASE("each system call of a start with overlay, binds, limits and capabilities may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("rich", ground), 60);
}

TEST_CASE("each system call of a start on a given root may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("given", ground), 60);
}

TEST_CASE("each system call of a start on a terminal may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("terminal", ground), 60);
  withstands_faults(ground, faults::library("bare-terminal", ground), 60);
}

TEST_CASE("each system call of a program that enters may fail") {
  const Ground ground;
  withstands_faults(ground, faults::library("exec", ground), 60);
}

TEST_CASE("each system call of a stranger's entry may fail, and the sandbox lives on") {
  const Ground ground;
  sbx::Sandbox main = faults::start_named(ground, "m");

  withstands_faults(ground, faults::library("enter", ground), 30);
  withstands_faults(ground, faults::tool("enter", ground, {"--enter", "m"}), 40);

  CHECK(faults::processes_in(main) == 1);
}

TEST_CASE("each system call of sbx-run may fail") {
  const Ground ground;
  withstands_faults(ground, faults::tool("run", ground, {}), 100);
  withstands_faults(ground, faults::tool("no-init", ground, {"--no-init"}), 200);
}

TEST_CASE("each system call of sbx-run with a name, an overlay and a report may fail") {
  const Ground ground;
  withstands_faults(ground,
                    faults::tool("named", ground,
                                 {"--name", "n", "--overlay", ground.path() / "layer", "--report",
                                  ground.path() / "report"}),
                    100);
}

TEST_CASE("each system call of sbx-run with limits may fail") {
  const std::string reason = sbx::test::why_no_cgroups(
      {sbx::Controller::kCpu, sbx::Controller::kMemory, sbx::Controller::kPids});
  if (!reason.empty()) SBX_SKIP("needs control groups of its own: " + reason);
  const Ground ground;
  withstands_faults(
      ground, faults::tool("limited", ground, {"--memory", "64M", "--cpus", "1", "--pids", "50"}),
      60);
}

TEST_CASE("each system call of sbx-run in the background may fail") {
  const Ground ground;
  withstands_faults(ground, faults::tool("detach", ground, {"--name", "n", "--detach"}), 100);
}

TEST_CASE("each system call of sbx-run with a terminal and a deadline may fail") {
  const Ground ground;
  withstands_faults(ground, faults::tool("tty", ground, {"--tty", "--timeout", "60s"}), 100);
}

TEST_CASE("each system call of a start with a network of its own may fail") {
  SBX_REQUIRE_PASTA();
  const Ground ground;
  withstands_faults(ground, faults::library("pasta", ground), 40);
  withstands_faults(ground, faults::tool("pasta", ground, {"--net", "user"}), 100);
}
