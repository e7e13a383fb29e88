// SPDX-License-Identifier: Apache-2.0
#include "launch/outcome.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <limits>

namespace sbx::detail {
namespace {

constexpr std::uint64_t kBlock = 512;  // the unit of ru_inblock and ru_oublock
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

/// What an init says may be anything: too much of it becomes the most there can be, and not less.
std::chrono::microseconds microseconds(std::uint64_t count) {
  using Count = std::chrono::microseconds::rep;
  constexpr std::uint64_t kMostMicroseconds = std::numeric_limits<Count>::max();
  return std::chrono::microseconds(static_cast<Count>(std::min(count, kMostMicroseconds)));
}

std::uint64_t bytes(std::uint64_t count, std::uint64_t unit) {
  return count > kMost / unit ? kMost : count * unit;
}

std::chrono::microseconds to_duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

Report report_from_status(int status) {
  Report report;
  if (WIFSIGNALED(status)) {
    report.reason = ExitReason::kSignal;
    report.signal = WTERMSIG(status);
    report.status = 128 + report.signal;
  } else {
    report.status = WEXITSTATUS(status);
  }
  return report;
}

Report report_from_event(const child::Event& event) {
  Report report = report_from_status(event.status);
  if (event.cpu_time_up != 0) report.reason = ExitReason::kCpuTime;
  report.cpu_user = microseconds(event.user_microseconds);
  report.cpu_system = microseconds(event.system_microseconds);
  report.rss_max_bytes = bytes(event.rss_max_kilobytes, 1024);
  report.io_read_bytes = bytes(event.read_blocks, kBlock);
  report.io_write_bytes = bytes(event.written_blocks, kBlock);
  return report;
}

void add_usage(Report& report, const rusage& usage) {
  report.cpu_user = to_duration(usage.ru_utime);
  report.cpu_system = to_duration(usage.ru_stime);
  report.rss_max_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  report.io_read_bytes = static_cast<std::uint64_t>(usage.ru_inblock) * kBlock;
  report.io_write_bytes = static_cast<std::uint64_t>(usage.ru_oublock) * kBlock;
}

}  // namespace sbx::detail
