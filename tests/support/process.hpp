// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "sbx/fd.hpp"

namespace sbx::test {

/// The descriptors that this process has open, in order, each with what /proc/self/fd says it is.
std::vector<std::pair<int, std::string>> open_fds();

/// `word` made one that no other process's command line holds.
std::string mark(std::string_view word);

/// The other processes whose command line holds `mark`, in this process's view of /proc, and their
/// number.
std::vector<pid_t> pids_with(const std::string& mark);
int processes_with(const std::string& mark);

/// Every process below `parent` now, its children's children included; not `parent` itself.
std::vector<pid_t> pids_below(pid_t parent);

/// The letter of proc(5) for what a process does: 'R', 'S', 'T' for stopped, 'Z'; '-' when it is
/// gone.
char state_of(pid_t pid);

/// Processes that stay told from later ones with their numbers.
class ProcessSet {
 public:
  /// Those below `parent` that run now; not `parent` itself.
  static ProcessSet below(pid_t parent);

  explicit ProcessSet(const std::vector<pid_t>& pids);

  [[nodiscard]] std::size_t size() const noexcept { return pidfds_.size(); }

  /// Waits until each of them has ended.
  [[nodiscard]] bool ends(std::chrono::milliseconds deadline = std::chrono::seconds(20)) const;

 private:
  std::vector<UniqueFd> pidfds_;
};

/// The build directory that the running test belongs to, or the copy of it: two levels up.
std::filesystem::path build_root();

/// The program `name` of that build, such as "sbx-run".
std::filesystem::path tool(std::string_view name);

/// For facts that offer no event to wait for: asks `predicate` until it is true, at ever longer
/// intervals, and returns false when it still is not after `deadline`.
template <std::predicate P>
bool wait_until(P predicate, std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + deadline;
  auto pause = std::chrono::microseconds(200);
  while (!predicate()) {
    if (Clock::now() >= end) return predicate();
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(50'000));
  }
  return true;
}

}  // namespace sbx::test
