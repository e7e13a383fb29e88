// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace sbx::child {

/// The processor time of all of a sandbox together: of its control group, or, without one, of what
/// its init has reaped, and of what runs, as /proc tells it. What nobody reaps is missing then. It
/// is looked at no more often than it could have run out.
class CpuClock {
 public:
  /// Takes hold of the sandbox's /proc; below zero when it cannot.
  long open() noexcept;

  /// Takes the time from now on from `file`, the cpu.stat of a group of version 2.
  void count_by(int file) noexcept;

  [[nodiscard]] std::uint64_t used_us() const noexcept;

  /// The earliest moment from now at which `limit_us` could be reached, with every processor at
  /// work.
  [[nodiscard]] int milliseconds_until(std::uint64_t limit_us) const noexcept;

 private:
  [[nodiscard]] std::uint64_t group_us() const noexcept;
  [[nodiscard]] std::uint64_t running_us() const noexcept;
  [[nodiscard]] std::uint64_t process_us(const char* pid) const noexcept;

  int proc_ = -1;
  int group_ = -1;
  std::uint64_t before_us_ = 0;  // what the group had used by then
  std::uint64_t processors_ = 1;
};

/// The clock ticks in utime, stime, cutime and cstime of the text of /proc/PID/stat; see proc(5).
std::uint64_t ticks_in_stat(const char* text) noexcept;

}  // namespace sbx::child
