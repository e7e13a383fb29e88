// SPDX-License-Identifier: Apache-2.0
#include "sbx/cgroup.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel/cgroup_parts.hpp"
#include "sbx/error.hpp"
#include "support/cgroup.hpp"
#include "support/child.hpp"
#include "support/command.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

namespace fs = std::filesystem;
using sbx::Cgroup;
using sbx::CgroupEvent;
using sbx::CgroupWatch;
using sbx::Controller;
using sbx::SystemError;
using sbx::detail::CgroupMaker;
using sbx::detail::CgroupTree;
using sbx::test::all_cgroups;
using sbx::test::Program;
using std::chrono::milliseconds;
using std::chrono::seconds;
using enum sbx::Controller;

namespace {

const std::vector<Controller> kUsual = {kCpu, kMemory, kPids};

/// A shell that waits for its input before it runs `script`.
sbx::test::Start waiting_shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", "read go; " + script}};
}

std::string line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The machine's tree, and as it were without version 2, where that leaves a freezer.
std::vector<CgroupTree> trees_that_kill() {
  std::vector<CgroupTree> trees = {CgroupTree::of_caller()};
  const CgroupTree old = trees[0].without_unified();
  for (const auto& hierarchy : old.hierarchies()) {
    if (!hierarchy.has("freezer")) continue;
    trees.push_back(old);
    break;
  }
  return trees;
}

/// Waits until the group has so many processes.
bool comes_to(const Cgroup& group, std::uint64_t pids) {
  return sbx::test::wait_until([&] { return group.statistics().pids == pids; });
}

/// Waits until it is told; the kernel may tell of other things before.
bool is_told(CgroupWatch& watch, CgroupEvent event) {
  const auto hears_it = [&] {
    const auto events = watch.wait(seconds(1));
    return std::count(events.begin(), events.end(), event) > 0;
  };
  return sbx::test::wait_until(hears_it, seconds(30));
}

}  // namespace

TEST_CASE("a group limits what is attached to it, counts it, and goes without a trace") {
  SBX_REQUIRE_CGROUPS(kCpu, kMemory, kPids);
  const auto before = all_cgroups();
  {
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), kUsual);
    group.set({.memory_bytes = 64U << 20, .cpus = 0.5, .cpu_weight = 50, .pids = 4});
    Program program(
        waiting_shell("sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & wait; echo on"));
    group.attach(program.pid());
    CHECK(group.populated());
    program.type("go\n");
    const auto ended = program.wait();
    CHECK(ended.err.find("fork") != std::string::npos);  // "Cannot fork"
    CHECK(group.wait_empty(seconds(10)));

    // Zombies count until they are reaped.
    CHECK(comes_to(group, 0));
    const auto used = group.statistics();
    CHECK(used.pids_refused.value() >= 1);
    CHECK(used.memory_peak_bytes.value() > 0);
    CHECK(used.memory_peak_bytes.value() <= 64U << 20);
    CHECK(used.oom_kills == 0U);
    CHECK(used.cpu_throttled.has_value());
  }
  CHECK(all_cgroups() == before);
}

TEST_CASE("want of memory kills, is counted, and is told without being asked for") {
  SBX_REQUIRE_CGROUPS(kMemory);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kMemory});
  group.set({.memory_bytes = 16U << 20});
  CgroupWatch watch(group);
  CHECK(watch.wait(milliseconds(0)).empty());
  Program program(waiting_shell("head -c 100000000 /dev/zero | tail"));
  group.attach(program.pid());
  program.type("go\n");
  CHECK(is_told(watch, CgroupEvent::kOutOfMemory));
  (void)program.wait();
  CHECK(group.statistics().oom_kills.value() >= 1);
}

TEST_CASE("the end of the last process is told, also to who asks after it alone") {
  SBX_REQUIRE_CGROUPS(kPids);
  for (const bool asks_before : {true, false}) {
    CAPTURE(asks_before);
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    if (group.fd() < 0) SBX_SKIP("needs a control group of version 2");
    CgroupWatch watch(group);
    Program program(waiting_shell("true"));
    group.attach(program.pid());
    if (asks_before) CHECK(watch.wait(milliseconds(0)).empty());
    program.type("go\n");
    (void)program.wait();
    CHECK(is_told(watch, CgroupEvent::kEmpty));
  }
}

TEST_CASE("pages in tmpfs are charged to who fills it") {
  SBX_REQUIRE_CGROUPS(kMemory);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kMemory});
  group.set({.memory_bytes = 16U << 20});
  const std::string file = "/dev/shm/sbx-test-" + std::to_string(::getpid());
  Program program(waiting_shell("exec head -c 64M /dev/zero >" + file));
  group.attach(program.pid());
  program.type("go\n");
  (void)program.wait();
  fs::remove(file);
  CHECK(group.statistics().oom_kills.value() >= 1);
}

TEST_CASE("freeze stops everything, and kill ends even what forks without an end") {
  SBX_REQUIRE_CGROUPS(kPids);
  for (const CgroupTree& tree : trees_that_kill()) {
    Cgroup group = CgroupMaker::create_unnamed(tree, {kPids});
    group.set({.pids = 64});
    Program bomb(waiting_shell("exec perl -e 'while (1) { fork }'"));
    group.attach(bomb.pid());
    bomb.type("go\n");
    CHECK(sbx::test::wait_until([&] { return group.statistics().pids.value() > 20; }));

    group.freeze();
    const auto frozen = group.statistics().pids;
    const std::string state(1, sbx::test::state_of(bomb.pid()));
    CHECK(state != "R");
    CHECK(group.statistics().pids == frozen);
    group.kill();
    CHECK(group.wait_empty(seconds(20)));
    group.remove();
    (void)bomb.wait();
  }
}

TEST_CASE("a group below gets a share of its own") {
  SBX_REQUIRE_CGROUPS(kCpu, kMemory, kPids);
  const auto before = all_cgroups();
  {
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), kUsual);
    group.set({.memory_bytes = 64U << 20, .pids = 32});
    Program first(waiting_shell("read more"));
    group.attach(first.pid());
    Cgroup child = group.create_child("cron", {kPids});
    child.set({.pids = 2});
    Program second(waiting_shell("sleep 0 & sleep 0 & sleep 0 & wait"));
    child.attach(second.pid());
    CHECK(group.statistics().pids == 2U);
    CHECK(child.statistics().pids == 1U);
    second.type("go\n");
    CHECK(second.wait().err.find("fork") != std::string::npos);
    // What comes later into the group itself has a place there.
    Program third(waiting_shell("true"));
    group.attach(third.pid());
    CHECK(comes_to(group, 2));
    third.type("go\n");
    CHECK(third.wait().status == 0);
    CHECK_THROWS_AS(child.create_child("io", {kMemory}), SystemError);
  }
  CHECK(all_cgroups() == before);
}

TEST_CASE("a group that is removed takes along what runs in it") {
  SBX_REQUIRE_CGROUPS(kPids);
  const auto before = all_cgroups();
  Program program({.argv = {"/bin/sleep", "1000"}});
  {
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    group.attach(program.pid());
  }
  CHECK(program.wait().status == 128 + SIGKILL);
  CHECK(all_cgroups() == before);
}

TEST_CASE("what a killed maker has left goes with the next group; what is used stays") {
  SBX_REQUIRE_CGROUPS(kCpu, kMemory, kPids);
  const auto before = all_cgroups();
  // Its handle is gone without a destructor.
  const auto make_and_die = [] {
    const pid_t child = ::fork();
    if (child == 0) {
      Cgroup* leaked = new Cgroup(CgroupMaker::create_unnamed(CgroupTree::of_caller(), kUsual));
      (void)leaked;
      ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
  };
  make_and_die();
  CHECK(all_cgroups().size() > before.size());
  {
    const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    std::set<std::string> more = all_cgroups();
    for (const auto& group : before) more.erase(group);
    for (const auto& group : more) {
      CHECK(group.find("/sbx-" + std::to_string(::getpid()) + "-") != std::string::npos);
    }
  }
  CHECK(all_cgroups() == before);

  Program survivor({.argv = {"/bin/sleep", "1000"}});
  const pid_t child = ::fork();
  if (child == 0) {
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    group.attach(survivor.pid());
    group.release();
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }
  CHECK(all_cgroups().size() > before.size());
  survivor.signal(SIGKILL);
  (void)survivor.wait();
  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }
  CHECK(all_cgroups() == before);
}

TEST_CASE("what a killed maker has left in one hierarchy goes, too, once it is free") {
  SBX_REQUIRE_CGROUPS(kPids);
  const auto before = all_cgroups();
  Program survivor({.argv = {"/bin/sleep", "1000"}});
  const pid_t child = ::fork();
  if (child == 0) {
    Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    CgroupMaker::parts(group).back().directory.add(survivor.pid());
    group.release();
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }
  survivor.signal(SIGKILL);
  (void)survivor.wait();

  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }

  CHECK(all_cgroups() == before);
}

TEST_CASE("what a maker in another pid namespace has left goes, too, and what one holds stays") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CGROUPS(kPids);
  const auto before = all_cgroups();
  int gate[2];
  REQUIRE(::pipe(gate) == 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::close(gate[1]);
    if (::unshare(CLONE_NEWPID) < 0) ::_exit(1);
    const pid_t maker = ::fork();
    if (maker == 0) {
      const Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
      char byte = 0;
      const bool told = ::read(gate[0], &byte, 1) == 1;
      ::_exit(told ? 0 : 1);  // without the destructor
    }
    ::waitpid(maker, nullptr, 0);
    ::_exit(0);
  }
  ::close(gate[0]);
  const auto made = [&] { return all_cgroups().size() > before.size(); };
  CHECK(sbx::test::wait_until(made));
  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }
  CHECK(made());
  CHECK(::write(gate[1], "x", 1) == 1);
  ::close(gate[1]);
  ::waitpid(parent, nullptr, 0);
  CHECK(made());
  { const Cgroup next = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids}); }
  CHECK(all_cgroups() == before);
}

TEST_CASE("limits that the kernel does not take are refused with their file") {
  SBX_REQUIRE_CGROUPS(kCpu, kMemory, kPids);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), kUsual);
  CHECK_THROWS_AS(group.set({.memory_bytes = 0}), std::invalid_argument);
  CHECK_THROWS_AS(group.set({.cpus = 0.0001}), std::invalid_argument);
  CHECK_THROWS_AS(group.set({.cpus = -1}), std::invalid_argument);
  CHECK_THROWS_AS(group.set({.cpu_weight = 0}), std::invalid_argument);
  CHECK_THROWS_AS(group.set({.pids = 0}), std::invalid_argument);
  CHECK_THROWS_AS(group.set({.processors = "all"}), std::invalid_argument);
  CHECK_THROWS_WITH_AS(group.set({.processors = "0"}), doctest::Contains("'cpuset'"), SystemError);
  CHECK_THROWS_AS(group.set({.io = {{.device = "/dev/null", .read_bytes_per_second = 1}}}),
                  SystemError);
}

TEST_CASE("processors and I/O are limited") {
  SBX_REQUIRE_CGROUPS(kCpuset);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kCpuset});
  group.set({.processors = "0"});
  Program program(waiting_shell("nproc"));
  group.attach(program.pid());
  program.type("go\n");
  CHECK(program.wait().out == "1\n");
  CHECK_THROWS_WITH_AS(group.set({.processors = "4000"}), doctest::Contains("cpuset.cpus"),
                       SystemError);
}

TEST_CASE("a limit below what is in use is set, or said to be too low") {
  SBX_REQUIRE_CGROUPS(kMemory);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kMemory});
  group.set({.memory_bytes = 64U << 20});
  group.set({.memory_bytes = 128U << 20});
  group.set({.memory_bytes = 32U << 20});
  const bool unified = group.path(kMemory).native().find("/memory/") == std::string::npos;
  CHECK(line_of(group.path(kMemory) / (unified ? "memory.max" : "memory.limit_in_bytes")) ==
        std::to_string(32U << 20));
}

TEST_CASE("the groups of a process are found") {
  SBX_REQUIRE_CGROUPS(kCpu, kMemory, kPids);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), kUsual);
  Program program(waiting_shell("true"));
  group.attach(program.pid());
  Cgroup found = Cgroup::of(program.pid());
  for (const Controller controller : kUsual)
    CHECK(found.path(controller) == group.path(controller));
  CHECK_THROWS_AS(found.remove(), std::invalid_argument);
  program.type("go\n");
  CHECK(program.wait().status == 0);
}

TEST_CASE("of a group made in another the inner one is found") {
  SBX_REQUIRE_CGROUPS(kPids);
  const auto before = all_cgroups();
  {
    Cgroup outer = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
    const std::string found = sbx::test::in_child([&] {
      outer.attach(::getpid());
      Cgroup inner = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kPids});
      Program program(waiting_shell("true"));
      inner.attach(program.pid());
      const auto tree = CgroupTree::of(std::to_string(program.pid()));
      const bool same = CgroupMaker::find_unnamed(tree)->path(kPids) == inner.path(kPids);
      program.type("go\n");
      (void)program.wait();
      return std::string(same ? "the inner one" : "another");
    });
    CHECK(found == "the inner one");
  }
  CHECK(sbx::test::wait_until([&] { return all_cgroups() == before; }));
}

TEST_CASE("pressure and the high mark of memory are told where the kernel knows of them") {
  SBX_REQUIRE_CGROUPS(kMemory);
  Cgroup group = CgroupMaker::create_unnamed(CgroupTree::of_caller(), {kMemory});
  if (group.fd() < 0) SBX_SKIP("needs the hierarchy of version 2");
  CgroupWatch watch(group, {{.resource = kCpu, .stall = milliseconds(100)}});
  Program busy(waiting_shell("for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait"));
  group.attach(busy.pid());
  busy.type("go\n");
  const auto told = watch.wait(seconds(20));
  CHECK(std::count(told.begin(), told.end(), CgroupEvent::kPressure) >= 1);
  group.kill();
  (void)busy.wait();
  const auto used = group.statistics();
  CHECK(used.cpu_pressure.value().some.total.count() > 0);

  const sbx::Limits high{.memory_bytes = 64U << 20, .memory_high_bytes = 8U << 20};
  if (!CgroupMaker::parts(group)[0].has(kMemory)) {
    CHECK_THROWS_AS(group.set(high), std::invalid_argument);
    return;
  }
  group.set(high);
  CgroupWatch memory(group);
  Program hog(waiting_shell("head -c 24M /dev/zero | tail -c 24M | wc -c"));
  group.attach(hog.pid());
  hog.type("go\n");
  const auto slowed = memory.wait(seconds(20));
  CHECK(std::count(slowed.begin(), slowed.end(), CgroupEvent::kMemoryHigh) >= 1);
  group.kill();
  (void)hog.wait();
}
