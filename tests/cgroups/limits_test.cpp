// SPDX-License-Identifier: Apache-2.0
//
// Limits of a sandbox as a whole: see Limits.
#include "sbx/limits.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "sbx/cgroup.hpp"
#include "sbx/error.hpp"
#include "sbx/sandbox.hpp"
#include "support/cgroup.hpp"
#include "support/child.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

namespace fs = std::filesystem;
using sbx::Controller;
using sbx::ExitReason;
using sbx::Limits;
using sbx::Report;
using sbx::Sandbox;
using sbx::Spec;
using sbx::SystemError;
using sbx::test::all_cgroups;
using sbx::test::shell;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Spec limited(const std::string& script, const Limits& limits) {
  Spec spec = shell(script);
  spec.limits = limits;
  return spec;
}

/// Why the caller can start nothing with such limits; empty when he can.
std::string why_no_limits(const Limits& limits) {
  Spec spec = limited("exit 0", limits);
  try {
    (void)Sandbox::start(spec).wait();
    return {};
  } catch (const SystemError& error) {
    return error.code().message();
  }
}

#define REQUIRE_LIMITS(...)                                                             \
  do {                                                                                  \
    const std::string reason = why_no_limits({__VA_ARGS__});                            \
    if (!reason.empty()) SBX_SKIP("needs a place among the control groups: " + reason); \
  } while (false)

/// Whether this process is in the group of that path, or in one below it.
bool holds_us(const std::string& path) {
  const sbx::Cgroup own = sbx::Cgroup::of(::getpid());
  const auto all = {Controller::kCpu, Controller::kCpuset, Controller::kHugetlb,
                    Controller::kIo,  Controller::kMemory, Controller::kPids};
  return std::ranges::any_of(all, [&](Controller controller) {
    return (own.path(controller).native() + "/").starts_with(path + "/");
  });
}

/// The first of the groups that are not as they were `before`: made by us, or ours with other
/// limits. systemd starts and stops services of its own meanwhile.
std::string first_change(const std::set<std::string>& before) {
  for (const std::string& group : all_cgroups()) {
    if (before.contains(group)) continue;
    const std::string path = group.substr(0, group.find(' '));
    if (path.find("/sbx-") != std::string::npos || holds_us(path)) return group;
  }
  return {};
}

/// What is there still when nothing should be; systemd removes what it has made a little later.
std::string left_over(const std::set<std::string>& before) {
  std::string left;
  sbx::test::wait_until([&] { return (left = first_change(before)).empty(); });
  return left;
}

double cpu_seconds(const Report& report) {
  return std::chrono::duration<double>(report.cpu_user + report.cpu_system).count();
}

const std::string kSpin = "while :; do :; done";

}  // namespace

TEST_CASE("a program that takes more memory than its limit is ended, and the report says so") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB);
  const auto before = all_cgroups();
  Spec spec = limited("", {.memory_bytes = 32 * kMiB});
  spec.command.argv = {"tail", "/dev/zero"};
  const Report report = Sandbox::start(spec).wait();
  CHECK(report.reason == ExitReason::kMemory);
  CHECK(report.status == 137);
  CHECK(report.oom_kills == 1U);
  CHECK(report.memory_peak_bytes.value() <= 32 * kMiB);
  CHECK(report.memory_peak_bytes.value() > 24 * kMiB);
  CHECK(left_over(before) == "");
}

TEST_CASE("one that stays below is not") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB);
  Spec spec = limited("head -c 8M /dev/zero | tail -c 8M | wc -c", {.memory_bytes = 64 * kMiB});
  const auto output = sbx::run(spec);
  CHECK(output.out == "8388608\n");
  CHECK(output.report.reason == ExitReason::kExited);
  CHECK(output.report.oom_kills == 0U);
  CHECK(output.report.memory_peak_bytes.value() > 8 * kMiB);
}

TEST_CASE("memory is that of all processes, and what they keep in tmpfs") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB);
  for (const char* script :
       {"head -c 64M /dev/zero > /dev/shm/x", "head -c 64M /dev/zero > /tmp/x",
        // Four of 12 MiB, in sessions of their own.
        "for i in 1 2 3 4; do setsid sh -c 'head -c 12M /dev/zero | tail -c 12M | (sleep 1; cat)' "
        ">/dev/null & done; wait"}) {
    CAPTURE(script);
    const Report report = Sandbox::start(limited(script, {.memory_bytes = 32 * kMiB})).wait();
    CHECK(report.oom_kills.value() >= 1);
    CHECK(report.memory_peak_bytes.value() <= 32 * kMiB);
  }
}

TEST_CASE("the page cache of what is read counts, and is taken back rather than killed for") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB);
  const sbx::test::TempDir folder;
  Spec spec = limited("head -c 48M /dev/zero > /data/x && cat /data/x | wc -c",
                      {.memory_bytes = 24 * kMiB});
  spec.mounts.push_back(sbx::Bind{.source = folder.path(), .target = "/data"});
  spec.user = sbx::User{.uid = 0, .gid = 0};
  const auto output = sbx::run(spec);
  CHECK(output.out == "50331648\n");
  CHECK(output.report.oom_kills == 0U);
  CHECK(output.report.memory_peak_bytes.value() <= 24 * kMiB);
}

TEST_CASE("a limit that is too low for a start is an error, and never the caller's end") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB);
  const auto before = all_cgroups();
  // Between these, a program that starts reads its own pages again and again.
  for (const std::uint64_t kilobytes : {4, 8, 16, 32, 64, 128, 256, 8192}) {
    CAPTURE(kilobytes);
    try {
      const Report report =
          Sandbox::start(limited("exit 3", {.memory_bytes = kilobytes * 1024})).wait();
      CHECK(report.status == (kilobytes < 1024 ? 137 : 3));
    } catch (const SystemError& error) {
      const int number = error.code().value();
      CHECK((number == ENOMEM || number == EBUSY));
      CHECK(kilobytes < 1024);
    }
  }
  CHECK(left_over(before) == "");
}

TEST_CASE("a fork bomb has as many processes as it paid for") {
  REQUIRE_LIMITS(.pids = 64);
  Spec spec = limited("exec perl -e 'while (1) { fork }'", {.pids = 24});
  spec.rlimits = {{RLIMIT_NPROC, 300, 300}};  // for builds that lack the protection
  Sandbox sandbox = Sandbox::start(spec);
  CHECK(sbx::test::wait_until([&] { return sandbox.statistics().pids_refused.value() > 100; }));
  CHECK(sandbox.statistics().pids.value() <= 25);  // with the init
  sandbox.kill();
  const Report report = sandbox.wait();
  CHECK(report.pids_peak == 24U);
}

TEST_CASE("one process is enough for a program that starts no other") {
  REQUIRE_LIMITS(.pids = 64);
  CHECK(Sandbox::start(limited("exit 4", {.pids = 1})).wait().status == 4);
  CHECK(sbx::run(limited("(exit 0) || echo none", {.pids = 1})).out.empty());
  Spec bare = limited("exit 5", {.pids = 1});
  bare.init = sbx::Init::kNone;
  CHECK(Sandbox::start(bare).wait().status == 5);
}

TEST_CASE("a quarter of a processor is that, whatever tries to have more") {
  REQUIRE_LIMITS(.cpus = 1);
  const std::string four = "for i in 1 2 3; do " + kSpin + " & done; " + kSpin;
  Sandbox sandbox = Sandbox::start(limited(four, {.cpus = 0.25}));
  const Report report = sandbox.wait_or_kill(seconds(4));
  const double share = cpu_seconds(report) / std::chrono::duration<double>(report.wall).count();
  CHECK(share > 0.2);  // less, where others want both processors, too
  CHECK(share < 0.25 * (std::getenv("SBX_TEST_SLOW") == nullptr ? 1.05 : 1.2));
}

TEST_CASE("weights share a busy processor out") {
  REQUIRE_LIMITS(.cpus = 1, .processors = "0");
  Sandbox light = Sandbox::start(limited(kSpin, {.cpu_weight = 100, .processors = "0"}));
  Sandbox heavy = Sandbox::start(limited(kSpin, {.cpu_weight = 300, .processors = "0"}));
  const auto used = [](Sandbox& sandbox) {
    const auto statistics = sandbox.statistics();
    return static_cast<double>((*statistics.cpu_user + *statistics.cpu_system).count());
  };
  const double light_before = used(light);
  const double heavy_before = used(heavy);
  std::this_thread::sleep_for(seconds(4));  // of work to be compared
  const double of_light = used(light) - light_before;
  const double of_both = of_light + used(heavy) - heavy_before;
  // An emulated processor is no exact one.
  const double tolerance = std::getenv("SBX_TEST_SLOW") == nullptr ? 0.03 : 0.08;
  CHECK(of_light / of_both > 0.25 - tolerance);
  CHECK(of_light / of_both < 0.25 + tolerance);
}

TEST_CASE("a device is written to and read no faster than its limit") {
  constexpr std::uint64_t kRate = 4 * kMiB;
  const sbx::test::TempDir folder;
  const sbx::IoLimit limit{
      .device = folder.path(), .read_bytes_per_second = kRate, .write_bytes_per_second = kRate};
  REQUIRE_LIMITS(.io = {limit});
  const auto moves = [&](const std::string& script) {
    Spec spec = limited(script, {.io = {limit}});
    spec.mounts.push_back(sbx::Bind{.source = folder.path(), .target = "/data"});
    spec.user = sbx::User{.uid = 0, .gid = 0};
    const Report report = Sandbox::start(spec).wait();
    CHECK(report.status == 0);
    CHECK(report.wall >= milliseconds(1500));  // two seconds' worth, less what may come at once
    return report;
  };

  const Report writer = moves("dd if=/dev/zero of=/data/x bs=1M count=8 oflag=direct 2> /dev/null");
  CHECK(writer.io_write_bytes.value() >= 8 * kMiB);
  const Report reader = moves("dd if=/data/x of=/dev/null bs=1M iflag=direct 2> /dev/null");
  CHECK(reader.io_read_bytes.value() >= 8 * kMiB);
}

TEST_CASE("the weight of input and output is what was asked for") {
  REQUIRE_LIMITS(.io_weight = 50);
  const std::string read = "cd /sys/fs/cgroup; cat io.weight blkio/blkio.bfq.weight 2> /dev/null";
  const std::string weight = sbx::run(limited(read, {.io_weight = 50})).out;
  CHECK(weight.substr(weight.find_first_of("0123456789")) == "50\n");
}

TEST_CASE("huge pages are no more than their limit") {
  constexpr std::uint64_t kPage = 2 * kMiB;
  const Limits limits{.hugetlb = {{.page_bytes = kPage, .bytes = kPage}}};
  SBX_REQUIRE_ROOT();
  REQUIRE_LIMITS(.hugetlb = limits.hugetlb);
  auto group =
      sbx::Cgroup::create("sbx-huge-" + std::to_string(::getpid()), {sbx::Controller::kHugetlb});
  group.set(limits);
  const auto reserved = [] {
    int pages = 0;
    std::ifstream("/proc/sys/vm/nr_hugepages") >> pages;
    return pages;
  };
  const auto reserve = [](int pages) { std::ofstream("/proc/sys/vm/nr_hugepages") << pages; };
  const int before = reserved();
  reserve(before + 4);
  const bool enough = reserved() == before + 4;

  const std::string said = sbx::test::in_child([&] {
    group.attach(::getpid());
    const auto take = [](std::size_t pages) {
      void* memory = ::mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
      if (memory == MAP_FAILED) return std::string("unmapped ");
      const bool taken = ::madvise(memory, pages * kPage, MADV_POPULATE_WRITE) == 0;
      ::munmap(memory, pages * kPage);
      return std::string(taken ? "taken " : "refused ");
    };
    return take(1) + take(2) + take(1);
  });

  reserve(before);
  if (!enough) SBX_SKIP("the kernel finds no memory for four huge pages");
  CHECK(said == "taken refused taken ");
}

TEST_CASE("a limit changed on a running sandbox holds at once") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB, .pids = 64);
  Spec spec = limited("", {.memory_bytes = 256 * kMiB, .pids = 64});
  spec.command.argv.clear();
  Sandbox sandbox = Sandbox::start(spec);
  const sbx::Command fork{.argv = {"/bin/sh", "-c", "exec 2>/dev/null; (exit 0); (exit 0)"}};
  CHECK(sandbox.exec(fork).wait().status == 0);
  sandbox.limit({.pids = 1});
  CHECK(sandbox.exec(fork).wait().status == 2);
  sandbox.limit({.pids = 64});
  CHECK(sandbox.exec(fork).wait().status == 0);

  const sbx::Command hog{
      .argv = {"/bin/sh", "-c", "head -c 48M /dev/zero | tail -c 48M >/dev/null"}};
  CHECK(sandbox.exec(hog).wait().status == 0);
  sandbox.limit({.memory_bytes = 16 * kMiB});
  const sbx::Command tail{.argv = {"tail", "/dev/zero"}};
  CHECK(sandbox.exec(tail).wait().reason == ExitReason::kMemory);
  CHECK(sandbox.statistics().oom_kills.value() >= 1);

  CHECK_THROWS_WITH_AS(sandbox.limit({.cpus = 0.5}), doctest::Contains("'cpu'"), SystemError);
  CHECK_THROWS_AS(sandbox.limit({.pids = 0}), std::invalid_argument);
}

TEST_CASE("a program that enters can have a share of its own") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB, .pids = 64);
  const auto before = all_cgroups();
  {
    Spec spec = limited("", {.memory_bytes = 256 * kMiB, .pids = 64});
    spec.command.argv.clear();
    Sandbox sandbox = Sandbox::start(spec);
    sbx::Command hog{.argv = {"tail", "/dev/zero"}};
    hog.limits = {.memory_bytes = 16 * kMiB, .pids = 4};
    sbx::Process process = sandbox.exec(hog);
    const Report report = process.wait();
    CHECK(report.reason == ExitReason::kMemory);
    CHECK(report.memory_peak_bytes.value() <= 16 * kMiB);

    sbx::Command bomb{
        .argv = {"/bin/sh", "-c", "exec 2>/dev/null; (exit 0) & (exit 0) & (exit 0) & wait"}};
    bomb.limits = {.pids = 2};
    CHECK(sandbox.exec(bomb).wait().status == 2);
    bomb.limits = {.cpus = 0.5};
    CHECK_THROWS_AS(sandbox.exec(bomb), SystemError);
    bomb.limits = {};
    CHECK(sandbox.exec(bomb).wait().status == 0);

    bomb.limits = {.pids = 2};
    sandbox.exec_main(bomb);
    CHECK(sandbox.wait().status == 2);
  }
  CHECK(left_over(before) == "");
}

TEST_CASE("a sandbox that was found is limited and counted like one that was made") {
  REQUIRE_LIMITS(.pids = 64);
  const sbx::test::TempDir folder;
  Spec spec = limited("sleep 100", {.pids = 8});
  spec.control_socket = folder.path() / "socket";
  const Sandbox made = Sandbox::start(spec);
  Sandbox found = Sandbox::open(spec.control_socket);
  CHECK(found.statistics().pids.value() >= 1);
  found.limit({.pids = 1});
  const sbx::Command fork{.argv = {"/bin/sh", "-c", "(exit 0)"}};
  CHECK_THROWS_AS(found.exec(fork), SystemError);

  spec.limits = {};
  spec.control_socket = folder.path() / "other";
  const Sandbox plain = Sandbox::start(spec);
  Sandbox without = Sandbox::open(spec.control_socket);
  CHECK_THROWS_WITH_AS(without.limit({.pids = 1}), doctest::Contains("without limits"),
                       SystemError);
  CHECK_THROWS_AS((void)without.statistics(), SystemError);
}

TEST_CASE("processor time is that of children whom nobody waits for, too") {
  REQUIRE_LIMITS(.pids = 64);
  // Short ones, which the kernel reaps at once: their time is nobody's.
  Spec spec;
  spec.command.argv = {
      "perl", "-e",
      "$SIG{CHLD} = 'IGNORE'; while (1) { if (fork) { select undef, undef, undef, 0.02 } "
      "else { my $i = 0; $i++ while $i < 300000; exit } }"};
  spec.limits = {.pids = 50};
  spec.cpu_time_max = milliseconds(500);
  const Report report = Sandbox::start(spec).wait_or_kill(seconds(20));
  CHECK(report.reason == ExitReason::kCpuTime);
  CHECK(cpu_seconds(report) > 0.45);
  CHECK(cpu_seconds(report) < 1);
}

TEST_CASE("a program can read its own limits, and change none") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB, .pids = 64);
  const std::string find =
      "cat $(find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes);"
      "find /sys/fs/cgroup -writable; mkdir $(find /sys/fs/cgroup -name 'memory*' | head -n 1)/x;"
      "touch /sys/fs/cgroup/x; for f in $(find /sys/fs/cgroup -name 'pids.max'); do echo max >$f; "
      "done; true";
  for (const std::uint32_t uid : {1000U, 0U}) {
    for (const char* root : {"", "/"}) {
      CAPTURE(uid);
      CAPTURE(root);
      Spec spec = limited("exec 2>/dev/null; " + find, {.memory_bytes = 64 * kMiB, .pids = 50});
      spec.user = sbx::User{.uid = uid, .gid = uid};
      spec.root.directory = root;
      CHECK(sbx::run(spec).out == "67108864\n");
    }
  }
}

TEST_CASE("what a killed caller has left of groups goes with the next start") {
  REQUIRE_LIMITS(.memory_bytes = 64 * kMiB, .pids = 64);
  const auto before = all_cgroups();
  const pid_t caller = ::fork();
  if (caller == 0) {
    const Sandbox sandbox =
        Sandbox::start(limited("sleep 100", {.memory_bytes = 64 * kMiB, .pids = 9}));
    ::raise(SIGKILL);
  }
  ::waitpid(caller, nullptr, 0);
  const bool in_scope = ::access("/run/systemd/system", F_OK) == 0;
  CHECK((all_cgroups() != before || in_scope));
  // The sandbox itself ends as its init sees the caller's end.
  CHECK(sbx::test::wait_until([&] {
    (void)Sandbox::start(limited("exit 0", {.pids = 9})).wait();
    return all_cgroups() == before;
  }));
}

TEST_CASE("what cannot be limited is refused, and leaves nothing") {
  const auto before = all_cgroups();
  CHECK_THROWS_AS(Sandbox::start(limited("exit 0", {.cpus = 0.0001})), std::invalid_argument);
  CHECK_THROWS_AS(Sandbox::start(limited("exit 0", {.memory_bytes = 0})), std::invalid_argument);
  Spec share = limited("exit 0", {.pids = 9});
  share.command.limits = {.pids = 2};
  CHECK_THROWS_AS(Sandbox::start(share), std::invalid_argument);
  CHECK_THROWS_AS(Sandbox::start(limited("exit 0", {.processors = "100000"})), SystemError);
  CHECK_THROWS_AS(Sandbox::start(limited(
                      "exit 0", {.io = {{.device = "/dev/null", .read_bytes_per_second = 1}}})),
                  SystemError);
  CHECK(left_over(before) == "");
}

TEST_CASE("who has no group of his own is told what to do") {
  SBX_REQUIRE_ORDINARY_USER();
  if (why_no_limits({.pids = 9}).empty()) SBX_SKIP("a control group can be had here");
  CHECK_THROWS_WITH_AS(Sandbox::start(limited("exit 0", {.pids = 9})),
                       doctest::Contains("delegated"), SystemError);
}

TEST_CASE("on a host of systemd's, the groups are below a scope of the caller's") {
  if (::access("/run/systemd/system", F_OK) < 0) SBX_SKIP("systemd does not run this host");
  REQUIRE_LIMITS(.pids = 64);
  const std::string own = "sbx-" + std::to_string(::getpid()) + "-";
  fs::path scope;
  {
    Sandbox sandbox = Sandbox::start(limited("sleep 100", {.pids = 64}));
    const auto group = sbx::Cgroup::of(sandbox.pid()).path(sbx::Controller::kPids);
    CHECK(group.filename().native().rfind(own, 0) == 0);
    scope = group.parent_path();
    CHECK(scope.extension() == ".scope");
    // The caller himself has not been moved.
    CHECK(sbx::Cgroup::of(::getpid()).path(sbx::Controller::kPids) !=
          group.parent_path() / "sbx-leaf");
    sandbox.kill();
    CHECK(sandbox.wait().pids_peak.value() >= 1);
  }
  CHECK(sbx::test::wait_until([&] { return !fs::exists(scope); }));
}
