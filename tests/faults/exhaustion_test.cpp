// SPDX-License-Identifier: Apache-2.0
//
// A caller who has run out of descriptors, memory, processes, namespaces or disk space gets one
// error, or a sandbox that is as strict as any.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>

#include "faults/leftover.hpp"
#include "faults/scenario.hpp"
#include "support/ordinary_user.hpp"
#include "support/require.hpp"

namespace fs = std::filesystem;
using faults::Caller;
using faults::Ground;
using faults::Inventory;
using faults::Orphanage;
using faults::Scenario;
using sbx::test::Deed;
using sbx::test::Fault;
using sbx::test::Traced;

namespace {

// Nobody else's, so that nothing else counts for its limits.
constexpr uid_t kLonelyUser = 600'299'001;

/// A run that is only watched: no call is touched.
Traced watched(const Scenario& scenario) {
  const Fault none{
      .at = {.process = "none", .number = 0, .occurrence = 1}, .deed = Deed::kFail, .error = 1};
  Traced run = run_traced(scenario.start, scenario.counted(), none);
  std::erase(run.ended.out, '\r');
  return run;
}

/// What a run with less of something may tell otherwise: the limit that it is about.
bool is_about_limits(const std::string& line) { return line.rfind("limit ", 2) == 2; }

std::string complaint(const Scenario& scenario, const Traced& good, const Traced& run) {
  if (run.hung) return "hangs";
  if (!run.left.empty()) return "leaves " + run.left.front();
  if (run.ended.status != 0) return faults::fault_of_error(scenario.caller, run.ended);
  std::string changed;
  for (const std::string& line : faults::difference(good.ended.out, run.ended.out))
    if (!is_about_limits(line)) changed += line + "; ";
  return changed.empty() ? "" : "is another sandbox: " + changed;
}

struct Count {
  int errors = 0;
  int successes = 0;
  std::string last{};  // what was said at the end
};

/// Runs `scenario` once more for each of `values`, which `prepare` applies in the new process.
Count endures(const Ground& ground, Scenario scenario, int from, int to,
              const std::function<void(int)>& prepare) {
  const Traced good = watched(scenario);
  REQUIRE_MESSAGE(good.ended.status == 0, scenario.name << ": " << good.ended.err);
  const Inventory before = Inventory::take();
  const Orphanage orphans;  // who is not reaped still counts
  Count count;
  for (int value = from; value <= to; ++value) {
    scenario.start.before_exec = [&] { prepare(value); };
    const Traced run = watched(scenario);
    INFO(scenario.name << " with " << value << ": " << run.ended.err);
    CHECK(complaint(scenario, good, run) == "");
    CHECK(faults::joined(ground.left()) == "");
    ++(run.ended.status == 0 ? count.successes : count.errors);
    count.last = run.ended.err;
  }
  CHECK(faults::joined(before.left()) == "");
  return count;
}

void limit(__rlimit_resource resource, rlim_t value) {
  rlimit both{};
  ::getrlimit(resource, &both);
  both.rlim_cur = value;
  ::setrlimit(resource, &both);
}

/// Runs the driver once for each soft limit that it sets itself, at its very beginning.
Count endures_in_driver(const Ground& ground, const std::string& name, int resource,
                        const std::vector<unsigned long>& values) {
  const Traced good = watched(faults::library(name, ground));
  REQUIRE_MESSAGE(good.ended.status == 0, good.ended.err);
  Count count;
  for (const unsigned long value : values) {
    const Scenario scenario =
        faults::library(name, ground, {std::to_string(resource), std::to_string(value)});
    const Traced run = watched(scenario);
    INFO(name << " with " << value << ": " << run.ended.err);
    CHECK_FALSE(run.hung);
    CHECK(faults::joined(run.left) == "");
    CHECK(faults::joined(ground.left()) == "");
    // The program has the limit, too, and may not be able to live with it.
    const bool program_ended = run.ended.status == 4 && run.ended.err.rfind("report: ", 0) == 0;
    if (!program_ended) CHECK(complaint(scenario, good, run) == "");
    ++(run.ended.status == 0 ? count.successes : count.errors);
  }
  return count;
}

std::vector<unsigned long> steps(unsigned long from, unsigned long to, unsigned long step) {
  std::vector<unsigned long> values;
  for (unsigned long value = from; value <= to; value += step) values.push_back(value);
  return values;
}

}  // namespace

TEST_CASE("the library endures any limit of descriptors") {
  const Ground ground;
  for (const char* name : {"plain", "bare", "exec", "given", "bare-terminal"}) {
    const Count count = endures_in_driver(ground, name, RLIMIT_NOFILE, steps(3, 70, 1));
    CHECK(count.errors > 0);
    CHECK(count.successes > 0);
  }
}

TEST_CASE("sbx-run endures any limit of descriptors") {
  const Ground ground;
  for (const Scenario& scenario :
       {faults::tool("run", ground, {}), faults::tool("named", ground, {"--name", "n"}),
        faults::tool("tty", ground, {"--tty"})}) {
    // With fewer its own libraries cannot be loaded.
    const Count count = endures(ground, scenario, 4, 70, [](int value) {
      limit(RLIMIT_NOFILE, static_cast<rlim_t>(value));
    });
    CHECK(count.errors > 0);
    CHECK(count.successes > 0);
  }
}

TEST_CASE("the library endures any limit of its address space") {
  const Ground ground;
  for (const char* name : {"plain", "bare", "exec"}) {
    const Count count = endures_in_driver(ground, name, RLIMIT_AS, steps(0, 1 << 20, 16 << 10));
    CHECK(count.errors > 0);
  }
}

namespace {

/// In a new process: another user's, as far as root can make it, for limits that root is exempt
/// from.
void become_lonely() {
  if (::geteuid() == 0) sbx::test::become_user(kLonelyUser);
}

void give_to_lonely(const Ground& ground) {
  if (::geteuid() != 0) return;
  for (const auto& entry : fs::recursive_directory_iterator(ground.path()))
    if (::chown(entry.path().c_str(), kLonelyUser, kLonelyUser) < 0) FAIL("cannot give files away");
  if (::chown(ground.path().c_str(), kLonelyUser, kLonelyUser) < 0) FAIL("cannot give files away");
}

void write_text(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) < 0) {
    std::fprintf(stderr, "cannot write '%s' for the test\n", path);
    ::_exit(95);
  }
  ::close(fd);
}

/// In a new process: in a user namespace of its own, with the same ids and all capabilities until
/// it executes something.
void enter_user_namespace(int more) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | more) < 0) {
    std::fputs("cannot make a user namespace for the test\n", stderr);
    ::_exit(95);
  }
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
  write_text("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
}

}  // namespace

TEST_CASE("a start endures any limit of processes") {
  const Ground ground;
  give_to_lonely(ground);
  for (Scenario scenario : {faults::library("plain", ground), faults::library("exec", ground),
                            faults::tool("named", ground, {"--name", "n"})}) {
    int errors = 0;
    for (rlim_t most = 0; most <= 12; ++most) {
      scenario.start.before_exec = [&] {
        limit(RLIMIT_NPROC, most);
        become_lonely();
      };
      const Traced run = watched(scenario);
      INFO(scenario.name << " with " << most << ": " << run.ended.err);
      CHECK_FALSE(run.hung);
      CHECK(faults::joined(run.left) == "");
      CHECK(faults::joined(ground.left()) == "");
      if (run.ended.status == 0) continue;
      CHECK(faults::fault_of_error(scenario.caller, run.ended) == "");
      ++errors;
    }
    CHECK(errors > 0);
  }
}

TEST_CASE("where no more namespaces are allowed, the error says which limits to look at") {
  const Ground ground;
  give_to_lonely(ground);
  for (const char* kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"}) {
    Scenario scenario = faults::tool("run", ground, {});
    scenario.start.before_exec = [&] {
      become_lonely();
      enter_user_namespace(0);
      write_text((std::string("/proc/sys/user/max_") + kind + "_namespaces").c_str(), "0");
    };
    const Traced run = watched(scenario);

    INFO(kind << ": " << run.ended.err);
    CHECK(run.ended.status == 125);
    CHECK(faults::fault_of_error(Caller::kTool, run.ended) == "");
    CHECK(run.ended.err ==
          "sbx-run: cannot create the sandbox's namespaces: No space left on device; a limit on "
          "namespaces is reached, one of the sysctls user.max_*_namespaces\n");
    CHECK(faults::joined(run.left) == "");
  }
}

namespace {

/// A group of its own in the hierarchy that counts processes, below this process's; none when it
/// cannot be made here.
class PidsGroup {
 public:
  PidsGroup() {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
      const std::size_t first = line.find(':');
      const std::size_t second = line.find(':', first + 1);
      const std::string controllers = line.substr(first + 1, second - first - 1);
      if (controllers == "pids") try_below("/sys/fs/cgroup/pids" + line.substr(second + 1));
      if (controllers.empty()) try_below("/sys/fs/cgroup" + line.substr(second + 1));
    }
  }
  PidsGroup(const PidsGroup&) = delete;
  PidsGroup& operator=(const PidsGroup&) = delete;
  PidsGroup(PidsGroup&&) = delete;
  PidsGroup& operator=(PidsGroup&&) = delete;
  ~PidsGroup() {
    if (made()) ::rmdir(path_.c_str());
  }

  [[nodiscard]] bool made() const { return !path_.empty(); }

  /// In a new process: joins, with at most `most` processes.
  void join(int most) const {
    write_text((path_ / "pids.max").c_str(), std::to_string(most));
    write_text((path_ / "cgroup.procs").c_str(), "0");
  }

 private:
  void try_below(const fs::path& own) {
    if (made()) return;
    const fs::path path = own / ("sbx-faults-" + std::to_string(::getpid()));
    if (::mkdir(path.c_str(), 0755) < 0) return;
    if (::access((path / "pids.max").c_str(), W_OK) == 0) {
      path_ = path;
    } else {
      ::rmdir(path.c_str());
    }
  }

  fs::path path_;
};

}  // namespace

TEST_CASE("a start endures any limit of processes by a cgroup") {
  const PidsGroup group;
  if (!group.made()) SBX_SKIP("needs a cgroup that limits processes");
  const Ground ground;
  for (const Scenario& scenario :
       {faults::library("plain", ground), faults::library("exec", ground),
        faults::library("rich", ground), faults::tool("named", ground, {"--name", "n"}),
        faults::tool("detach", ground, {"--name", "n", "--detach"})}) {
    const Count count = endures(ground, scenario, 1, 12, [&](int value) { group.join(value); });
    INFO(scenario.name << ": " << count.last);
    CHECK(count.errors > 0);
    CHECK(count.successes > 0);
  }
}

namespace {

/// In a new process: a mount namespace with a tmpfs on `place`.
void mount_small(const fs::path& place, const std::string& options, unsigned long flags) {
  if (::geteuid() == 0) {
    ::unshare(CLONE_NEWNS);
  } else {
    enter_user_namespace(CLONE_NEWNS);
  }
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (::mount("tmpfs", place.c_str(), "tmpfs", 0, options.c_str()) < 0) {
    std::fprintf(stderr, "cannot mount a tmpfs for the test\n");
    ::_exit(95);
  }
  for (const char* name : {"run", "layer"}) ::mkdir((place / name).c_str(), 0700);
  if (flags != 0) ::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | flags, options.c_str());
}

/// sbx-run that keeps everything that it can keep in `place`.
Scenario keeper(const Ground& ground, const fs::path& place) {
  Scenario scenario =
      faults::tool("keeper", ground,
                   {"--name", "n", "--overlay", place / "layer", "--report", place / "report"});
  const auto given = std::find(scenario.start.argv.begin(), scenario.start.argv.end(),
                               ground.run_directory().native());
  *given = place / "run";
  return scenario;
}

}  // namespace

TEST_CASE("a file system without room for the run directory, the layer or the report says so") {
  const Ground ground;
  const fs::path place = ground.path() / "small";
  fs::create_directory(place);
  Scenario scenario = keeper(ground, place);
  int errors = 0;
  int successes = 0;
  for (int inodes = 3; inodes <= 40; ++inodes) {
    scenario.start.before_exec = [&] {
      mount_small(place, "mode=700,nr_inodes=" + std::to_string(inodes), 0);
    };
    const Traced run = watched(scenario);
    INFO(inodes << " files: " << run.ended.err);
    CHECK_FALSE(run.hung);
    CHECK(faults::joined(run.left) == "");
    if (run.ended.status != 0) {
      CHECK(faults::fault_of_error(Caller::kTool, run.ended) == "");
      CHECK(run.ended.err.find("No space left on device") != std::string::npos);
    }
    ++(run.ended.status == 0 ? successes : errors);
  }
  CHECK(errors > 0);
  CHECK(successes > 0);
}

TEST_CASE("a report that no longer fits is an error") {
  const Ground ground;
  const fs::path place = ground.path() / "small";
  fs::create_directory(place);
  Scenario scenario = faults::tool("report", ground, {"--report", place / "report"});
  scenario.start.before_exec = [&] {
    mount_small(place, "mode=700,size=4k", 0);
    std::ofstream(place / "filler") << std::string(4096, 'x');
  };

  const Traced run = watched(scenario);

  CHECK(run.ended.status == 125);
  CHECK(run.ended.err == "sbx-run: cannot write the report to '" + (place / "report").native() +
                             "': No space left on device\n");
}

TEST_CASE("nothing is kept in a directory that is read-only") {
  const Ground ground;
  const fs::path place = ground.path() / "small";
  fs::create_directory(place);
  const auto prepare = [&] { mount_small(place, "mode=700", MS_RDONLY); };
  Scenario named = keeper(ground, place);
  named.start.before_exec = prepare;
  Scenario layered = faults::tool("layer", ground, {"--overlay", place / "layer"});
  layered.start.before_exec = prepare;
  Scenario claimed = faults::tool("name", ground, {"--run-dir", place / "run", "--name", "n"});
  claimed.start.argv.erase(claimed.start.argv.begin() + 1, claimed.start.argv.begin() + 3);
  claimed.start.before_exec = prepare;

  for (const Scenario& scenario : {named, layered, claimed}) {
    const Traced run = watched(scenario);
    INFO(scenario.name << ": " << run.ended.err);
    CHECK(run.ended.status == 125);
    CHECK(faults::fault_of_error(Caller::kTool, run.ended) == "");
    CHECK(run.ended.err.find("Read-only file system") != std::string::npos);
    CHECK(faults::joined(run.left) == "");
  }
}
