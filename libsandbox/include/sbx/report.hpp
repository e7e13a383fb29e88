// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sbx/api.hpp"
#include "sbx/network.hpp"

namespace sbx {

/// Why a sandbox, or a process in it, ended.
enum class ExitReason {
  kExited,   ///< by itself, with Report::status
  kSignal,   ///< by Report::signal
  kTimeout,  ///< killed because its wall time was up
  kCpuTime,  ///< killed because its processor time was up
  kMemory,   ///< killed because its memory was used up; not told by this version
  kSetup,    ///< it never ran; Report::message says why. In the tools' reports: a start throws
};

/// The word in reports: "exited", "signal", "timeout", "cpu-time", "memory", "setup".
[[nodiscard]] SBX_API const char* to_string(ExitReason reason);

/// How a run ended and what it used. What could not be measured is left empty.
struct Report {
  ExitReason reason = ExitReason::kExited;
  int status = 0;         ///< exit status; 128 + signal when a signal ended it
  int signal = 0;         ///< the signal that ended it, or 0
  std::string message{};  ///< one line for a human, where there is more to say

  std::chrono::microseconds wall{0};        ///< from the start until a wait saw the end
  std::chrono::microseconds cpu_user{0};    ///< of the whole tree of processes
  std::chrono::microseconds cpu_system{0};  ///< likewise, in the kernel
  std::uint64_t rss_max_bytes = 0;          ///< largest resident set of any one process

  // Of all together. Not measured by this version.
  std::optional<std::uint64_t> memory_peak_bytes{};
  std::optional<std::uint64_t> pids_peak{};
  std::optional<std::uint64_t> oom_kills{};
  std::optional<std::uint64_t> io_read_bytes{};   ///< from storage
  std::optional<std::uint64_t> io_write_bytes{};  ///< to storage

  /// Of a sandbox that is connected to the host's network.
  std::optional<NetworkUsage> network{};

  /// True for a command that ran and returned 0.
  [[nodiscard]] bool ok() const noexcept { return reason == ExitReason::kExited && status == 0; }
};

/// Who receives a signal.
enum class SignalTarget { kProcess, kProcessGroup };

}  // namespace sbx
