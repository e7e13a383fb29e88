// SPDX-License-Identifier: Apache-2.0
//
// SIGKILL at any moment of a start, for the tool, the init or the program, leaves nothing behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "faults/leftover.hpp"
#include "faults/scenario.hpp"
#include "support/cgroup.hpp"
#include "support/pasta.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using faults::Caller;
using faults::Ground;
using faults::Inventory;
using faults::Orphanage;
using faults::Scenario;
using sbx::test::Call;
using sbx::test::Deed;
using sbx::test::Fault;
using sbx::test::run_traced;
using sbx::test::Start;
using sbx::test::Traced;
using Clock = std::chrono::steady_clock;

namespace {

enum class Victim { kTool, kInit, kProgram };

const char* to_text(Victim victim) {
  return victim == Victim::kTool   ? "the tool"
         : victim == Victim::kInit ? "the init"
                                   : "the program";
}

unsigned seed() {
  const char* given = std::getenv("SBX_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10))
                          : std::random_device()();
}

pid_t start(const Start& start) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid > 0) return pid;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  std::vector<char*> argv;
  for (const std::string& word : start.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(98);
}

/// Its number in the sandbox; 0 for a process that is in none.
int inner_pid(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("NSpid:", 0) != 0) continue;
    std::istringstream numbers(line.substr(6));
    std::vector<int> all;
    for (int number = 0; numbers >> number;) all.push_back(number);
    return all.size() < 2 ? 0 : all.back();
  }
  return 0;
}

/// Whom to kill now; the tool as long as there is no other.
pid_t find(Victim victim, pid_t tool) {
  if (victim == Victim::kTool) return tool;
  for (const pid_t pid : sbx::test::pids_below(tool)) {
    const int inner = inner_pid(pid);
    if (victim == Victim::kInit ? inner == 1 : inner > 1) return pid;
  }
  return tool;
}

/// Its wait status; none when it has not ended after a while.
std::optional<int> end_of(pid_t pid) {
  int status = 0;
  const bool ended = sbx::test::wait_until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; },
                                           std::chrono::seconds(20));
  return ended ? std::optional(status) : std::nullopt;
}

/// One way to start, and how long it takes.
struct Kind {
  Scenario scenario;
  Clock::duration usual{};
};

std::vector<Kind> all_kinds(const Ground& ground) {
  using faults::library;
  using faults::tool;
  const std::string layer = ground.path() / "layer";
  std::vector<Kind> kinds;
  for (const char* name : {"plain", "bare", "exec", "given"})
    kinds.push_back({library(name, ground)});
  kinds.push_back({tool("run", ground, {})});
  kinds.push_back({tool("no-init", ground, {"--no-init"})});
  kinds.push_back({tool("named", ground, {"--name", "a"})});
  kinds.push_back({tool("overlay", ground, {"--name", "b", "--overlay", layer})});
  kinds.push_back({tool("detach", ground, {"--name", "c", "--detach"})});
  if (sbx::test::why_no_pasta().empty())
    kinds.push_back({tool("pasta", ground, {"--net", "user"})});
  return kinds;
}

void measure(Kind& kind) {
  const auto begin = Clock::now();
  const auto status = end_of(start(kind.scenario.start));
  kind.usual = Clock::now() - begin;
  REQUIRE_MESSAGE(status == 0, kind.scenario.name << " cannot run here");
}

}  // namespace

TEST_CASE("starts of all kinds, a fifth of them killed at random moments, leave nothing") {
  const Ground ground;
  std::vector<Kind> kinds = all_kinds(ground);
  for (Kind& kind : kinds) measure(kind);
  const int starts = faults::test_all() ? 1000 : 250;
  const unsigned chosen_seed = seed();
  std::mt19937 random(chosen_seed);
  std::printf("%d starts, SBX_TEST_SEED=%u\n", starts, chosen_seed);
  const Inventory before = Inventory::take();
  const Orphanage orphans;

  for (int i = 0; i < starts; ++i) {
    const Kind& kind = kinds[random() % kinds.size()];
    const bool killed = i % 5 == 0;
    const auto victim = static_cast<Victim>(random() % 3);
    const auto moment = Clock::now() + kind.usual * (random() % 1200) / 1000;
    INFO("seed " << chosen_seed << ", start " << i << ": " << kind.scenario.name
                 << (killed ? std::string(", kills ") + to_text(victim) : ""));
    const pid_t pid = start(kind.scenario.start);
    if (killed) {
      std::this_thread::sleep_until(moment);  // any moment is as good as another
      ::kill(find(victim, pid), SIGKILL);
    }
    const auto status = end_of(pid);
    REQUIRE(status.has_value());
    const bool crashed = WIFSIGNALED(*status) && WTERMSIG(*status) != SIGKILL;
    CHECK_FALSE(crashed);
    if (killed) REQUIRE(faults::joined(orphans.left()) == "");
  }

  CHECK(faults::joined(orphans.left()) == "");
  CHECK(faults::joined(before.left()) == "");
  CHECK(faults::joined(ground.left()) == "");
}

namespace {

/// The process is the sandbox's, or becomes one of its: not what tidies up after the tool.
bool is_of_sandbox(const Scenario& scenario, const std::string& process,
                   const std::set<std::string>& all) {
  // The keeper of pasta tidies up as long as nobody kills that as well.
  if (process.ends_with("=keeper")) return false;
  if (scenario.caller == Caller::kLibrary) return process != "caller";
  if (process.find("=init") != std::string::npos) return true;
  return process != "caller" && all.count(process + "=init") > 0;
}

/// At each call of any process the caller is killed; at those of the sandbox's also the process.
std::vector<Fault> kills_for(const Scenario& scenario, const std::vector<Call>& calls,
                             std::size_t stride) {
  std::set<std::string> processes;
  for (const Call& call : calls) processes.insert(call.process);
  std::vector<Fault> chosen;
  std::size_t number = 0;
  for (const Call& call : calls) {
    if (!faults::test_all() && number++ % stride != 0) continue;
    chosen.push_back({.at = call, .deed = Deed::kKillCaller});
    if (is_of_sandbox(scenario, call.process, processes))
      chosen.push_back({.at = call, .deed = Deed::kKill});
  }
  return chosen;
}

void withstands_kills(const Ground& ground, const Scenario& scenario, std::size_t stride) {
  const Traced good = run_traced(scenario.start, scenario.counted());
  REQUIRE_MESSAGE(good.ended.status == 0, good.ended.err);
  const std::vector<std::string> stands = ground.left();
  const Inventory before = Inventory::take();

  std::size_t runs = 0;
  for (const Fault& fault : kills_for(scenario, good.calls, stride)) {
    const Traced run = run_traced(scenario.start, scenario.counted(), fault);
    INFO(scenario.name << ": killed " << (fault.deed == Deed::kKillCaller ? "the caller" : "")
                       << " at " << to_string(fault.at) << ": " << run.ended.err);
    CHECK_FALSE(run.hung);
    CHECK(faults::joined(run.left) == "");
    CHECK(faults::joined(ground.left()) == faults::joined(stands));
    CHECK(run.ended.status != 128 + SIGSEGV);
    CHECK(run.ended.status != 128 + SIGABRT);
    ++runs;
  }

  // A control group without a maker is the next start's to remove.
  CHECK(end_of(start(scenario.start)) == 0);
  CHECK(faults::joined(before.left()) == "");
  std::printf("%s: %zu kills\n", scenario.name.c_str(), runs);
}

}  // namespace

TEST_CASE("a kill at any system call of the library leaves nothing") {
  const Ground ground;
  withstands_kills(ground, faults::library("plain", ground), 80);
  withstands_kills(ground, faults::library("bare", ground), 80);
}

TEST_CASE("a kill at any system call of sbx-run leaves nothing") {
  const Ground ground;
  withstands_kills(ground, faults::tool("named", ground, {"--name", "n"}), 50);
}

TEST_CASE("what a kill at any system call of sbx-run with limits leaves, the next start removes") {
  const std::string reason = sbx::test::why_no_cgroups(
      {sbx::Controller::kCpu, sbx::Controller::kMemory, sbx::Controller::kPids});
  if (!reason.empty()) SBX_SKIP("needs control groups of its own: " + reason);
  const Ground ground;
  withstands_kills(
      ground, faults::tool("limited", ground, {"--memory", "64M", "--cpus", "1", "--pids", "50"}),
      60);
}

TEST_CASE("a kill at any system call of a start with a network leaves nothing") {
  SBX_REQUIRE_PASTA();
  const Ground ground;
  withstands_kills(ground, faults::library("pasta", ground), 60);
  withstands_kills(ground, faults::tool("pasta", ground, {"--net", "user"}), 80);
}
