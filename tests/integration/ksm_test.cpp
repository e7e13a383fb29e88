// SPDX-License-Identifier: Apache-2.0
#include "sbx/ksm.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "sbx/error.hpp"
#include "sbx/fd.hpp"
#include "support/child.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::ksm::Control;
using sbx::ksm::merge_process;
using sbx::ksm::Method;
using sbx::test::in_child;

#define REQUIRE_KSM() \
  if (::access(kRun, F_OK) < 0) SBX_SKIP("the kernel was built without KSM")

#define REQUIRE_WHOLE_PROCESS() \
  if (!sbx::ksm::whole_process_supported()) SBX_SKIP("needs Linux 6.4 and KSM")

namespace {

constexpr const char kRun[] = "/sys/kernel/mm/ksm/run";
constexpr int kSetMemoryMerge = 67;
constexpr int kGetMemoryMerge = 68;
constexpr std::size_t kPages = 1024;
constexpr std::size_t kPageBytes = 4096;

std::string read(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string name_of(Method method) {
  return method == Method::kWholeProcess ? "whole process" : "mappings";
}

std::string merges_all() { return ::prctl(kGetMemoryMerge, 0, 0, 0, 0) == 1 ? "yes" : "no"; }

/// Makes the system call fail with EINVAL in this process when its argument `index` is `value`.
void refuse(unsigned number, unsigned index, unsigned value) {
  const auto argument = static_cast<unsigned>(offsetof(seccomp_data, args) + 8 * index);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void refuse_whole_process() {
  refuse(__NR_prctl, 0, kSetMemoryMerge);
  refuse(__NR_prctl, 0, kGetMemoryMerge);
}

/// The address of a new private mapping that the kernel cannot join with its neighbours.
std::uintptr_t lone_mapping() {
  void* const guarded =
      ::mmap(nullptr, 3 * kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* const middle = static_cast<char*>(guarded) + kPageBytes;
  ::mprotect(middle, kPageBytes, PROT_READ | PROT_WRITE);
  return reinterpret_cast<std::uintptr_t>(middle);
}

/// The settings of ksmd are the machine's: whoever changes them here does it alone.
class KsmdLock {
 public:
  KsmdLock() : file_(::open(kRun, O_RDONLY | O_CLOEXEC)) { ::flock(file_.get(), LOCK_EX); }

 private:
  sbx::UniqueFd file_;
};

/// A process whose memory may be merged, with pages that differ from each other but are the same
/// in each process like it; stopped when it is complete, which merging does not mind.
class Worker {
 public:
  Worker() : pid_(::fork()) {
    if (pid_ > 0) ::waitpid(pid_, nullptr, WUNTRACED);
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto memory = std::make_unique<std::size_t[]>(kPages * kPageBytes / sizeof(std::size_t));
    for (std::size_t i = 0; i < kPages; ++i) memory[i * kPageBytes / sizeof(std::size_t)] = i + 1;
    merge_process();
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;
  ~Worker() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] bool merged() const {
    return sbx::ksm::statistics_of(pid_).merging_pages >= static_cast<std::int64_t>(kPages);
  }

 private:
  pid_t pid_;
};

std::string settings_of_ksmd() {
  const std::string folder = "/sys/kernel/mm/ksm/";
  return read(kRun) + read((folder + "pages_to_scan").c_str()) +
         read((folder + "sleep_millisecs").c_str()) + read((folder + "merge_across_nodes").c_str());
}

}  // namespace

TEST_CASE("a process lets the kernel merge all its memory by one call") {
  REQUIRE_WHOLE_PROCESS();

  const auto said = in_child([] {
    const auto method = name_of(merge_process());
    return method + ", " + merges_all();
  });

  CHECK(said == "whole process, yes");
}

TEST_CASE("merging a whole process is kept over fork") {
  REQUIRE_WHOLE_PROCESS();

  const auto said = in_child([] {
    merge_process();
    return in_child(merges_all);
  });

  CHECK(said == "yes");
}

TEST_CASE("merging a whole process is kept over execve") {
  REQUIRE_WHOLE_PROCESS();
  if (read("/proc/self/ksm_stat").find("ksm_merge_any") == std::string::npos)
    SBX_SKIP("needs ksm_merge_any in /proc/PID/ksm_stat");

  const auto said = in_child([] {
    merge_process();
    const std::unique_ptr<FILE, int (*)(FILE*)> grep(
        ::popen("exec grep ksm_merge_any /proc/self/ksm_stat", "r"), ::pclose);
    char line[64]{};
    return std::string(std::fgets(line, sizeof line, grep.get()));
  });

  CHECK(said == "ksm_merge_any: yes\n");
}

TEST_CASE("a process on an older kernel lets it merge the mappings of the moment") {
  REQUIRE_KSM();

  const auto said = in_child([] {
    refuse_whole_process();
    const auto method = name_of(merge_process());
    const bool mergeable = read("/proc/self/smaps").find(" mg") != std::string::npos;
    return method + (mergeable ? " mergeable " : " not mergeable ") + merges_all();
  });

  CHECK(said == "mappings mergeable no");
}

TEST_CASE("a mapping that cannot be merged does not keep the others from it") {
  REQUIRE_KSM();

  const auto said = in_child([] {
    refuse_whole_process();
    refuse(__NR_madvise, 0, static_cast<unsigned>(lone_mapping()));
    return name_of(merge_process());
  });

  CHECK(said == "mappings");
}

TEST_CASE("an older kernel does not support merging a whole process") {
  const auto said = in_child([] {
    refuse_whole_process();
    return std::string(sbx::ksm::whole_process_supported() ? "supported" : "not supported");
  });

  CHECK(said == "not supported");
}

TEST_CASE("a kernel without merging is an error") {
  const auto said = in_child([] {
    refuse_whole_process();
    refuse(__NR_madvise, 2, MADV_MERGEABLE);
    return name_of(merge_process());
  });

  CHECK(said == "cannot let the kernel merge the memory of this process: Invalid argument");
}

TEST_CASE("merging statistics of a process that does not exist are an error") {
  CHECK_THROWS_WITH_AS((void)sbx::ksm::statistics_of(2147483647),
                       "cannot read '/proc/2147483647/ksm_stat': No such file or directory",
                       sbx::SystemError);
}

TEST_CASE("equal pages of two processes are merged while ksmd is told to scan") {
  SBX_REQUIRE_ROOT();
  REQUIRE_WHOLE_PROCESS();
  const KsmdLock lock;
  const Worker first;
  const Worker second;

  // Last, so that ksmd meets equal pages in one scan: those that it meets alone it looks at less
  // and less often (smart_scan), and two such may miss each other for ever.
  const Control control({.run = true, .pages_to_scan = 5000, .sleep_milliseconds = 2});
  const auto both_merged = [&] { return first.merged() && second.merged(); };
  if (!sbx::test::wait_until(both_merged, std::chrono::seconds(10))) {
    SBX_SKIP("ksmd did not meet the equal pages in one scan (smart_scan)");
  }

  CHECK(sbx::ksm::statistics().pages_sharing >= kPages);
}

TEST_CASE("control of ksmd puts the machine's settings back") {
  SBX_REQUIRE_ROOT();
  REQUIRE_KSM();
  const KsmdLock lock;
  const auto before = settings_of_ksmd();
  std::string during;

  {
    const Control control({.run = true, .pages_to_scan = 123, .sleep_milliseconds = 45});
    during = settings_of_ksmd();
  }

  CHECK(during.starts_with("1\n123\n45\n"));
  CHECK(settings_of_ksmd() == before);
}

TEST_CASE("control of ksmd with a value that the kernel refuses changes nothing") {
  SBX_REQUIRE_ROOT();
  REQUIRE_KSM();
  const KsmdLock lock;
  const auto before = settings_of_ksmd();

  CHECK_THROWS_WITH_AS(Control({.pages_to_scan = 123, .sleep_milliseconds = UINT64_MAX}),
                       "cannot write '/sys/kernel/mm/ksm/sleep_millisecs': Invalid argument",
                       sbx::SystemError);

  CHECK(settings_of_ksmd() == before);
}

TEST_CASE("control of ksmd needs root") {
  SBX_REQUIRE_ROOT();
  REQUIRE_KSM();

  const auto said = in_child([] {
    if (::setresuid(65534, 65534, 65534) < 0) return std::string("cannot become nobody");
    const Control control({.run = true});
    return std::string("permitted");
  });

  CHECK(said == "cannot write '/sys/kernel/mm/ksm/run': Permission denied");
}
