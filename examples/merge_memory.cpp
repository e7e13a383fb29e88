// SPDX-License-Identifier: Apache-2.0
//
// Two processes with 16 MiB of equal pages each, which the kernel is asked to keep only once.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include "sbx/error.hpp"
#include "sbx/ksm.hpp"

namespace {

constexpr long kBytes = 16 << 20;
const long kPageBytes = sysconf(_SC_PAGESIZE);

pid_t start_worker() {
  const pid_t pid = fork();
  if (pid > 0) waitpid(pid, nullptr, WUNTRACED);
  if (pid != 0) return pid;

  prctl(PR_SET_PDEATHSIG, SIGKILL);  // the worker ends with this program
  std::vector<int> memory(kBytes / sizeof(int));
  std::iota(memory.begin(), memory.end(), 0);  // no two pages alike, but both workers' the same
  sbx::ksm::merge_process();
  raise(SIGSTOP);  // ready; stopped memory is merged as well
  _exit(0);
}

bool merged(pid_t pid) { return sbx::ksm::statistics_of(pid).merging_pages * kPageBytes >= kBytes; }

}  // namespace

int main() try {
  sbx::ksm::merge_process();
  const pid_t workers[] = {start_worker(), start_worker()};

  // Last, so that ksmd meets equal pages in one scan: those that it meets alone it looks at less
  // and less often, and two such may miss each other for ever.
  const sbx::ksm::Control ksmd({.run = true, .pages_to_scan = 5000, .sleep_milliseconds = 5});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!merged(workers[0]) || !merged(workers[1])) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::puts("ksmd was busy elsewhere");
      return 77;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  const auto pages = static_cast<long>(sbx::ksm::statistics().pages_sharing);
  std::printf("%ld pages merged away, %ld bytes saved\n", pages, pages * kPageBytes);
  return 0;
} catch (const sbx::SystemError& error) {
  std::printf("nothing is merged here: %s\n", error.what());
  return 0;
}
