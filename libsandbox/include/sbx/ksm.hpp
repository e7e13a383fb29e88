// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sbx/api.hpp"

// Kernel samepage merging: equal pages of different processes become one. See
// Documentation/admin-guide/mm/ksm.rst in the kernel's source.
namespace sbx::ksm {

/// How merge_process() reached its aim.
enum class Method {
  kWholeProcess,  ///< PR_SET_MEMORY_MERGE: all mappings, those to come and those of children too
  kMappings,      ///< madvise(MADV_MERGEABLE) over the private writable mappings of this moment
};

/// True where the kernel can merge a whole process by one call (Linux 6.4 and later).
[[nodiscard]] SBX_API bool whole_process_supported();

/// Lets the kernel merge the calling process's memory. Kept over fork(2) and execve(2) with
/// Method::kWholeProcess, lost by execve(2) otherwise. Throws SystemError: EINVAL or ENOSYS when
/// the kernel was built without KSM.
SBX_API Method merge_process();

/// What merging does for one process: /proc/PID/ksm_stat.
struct ProcessStatistics {
  std::int64_t rmap_items = 0;     ///< pages under watch
  std::int64_t zero_pages = 0;     ///< pages merged with the kernel's zero page
  std::int64_t merging_pages = 0;  ///< pages shared now
  std::int64_t profit_bytes = 0;   ///< memory saved, less what watching costs; may be negative
};

/// Those of process `pid` (0: the caller). Throws SystemError: ENOENT where the kernel has no such
/// file or process.
[[nodiscard]] SBX_API ProcessStatistics statistics_of(int pid,
                                                      const std::filesystem::path& proc = "/proc");

/// What merging does for the machine: the files of these names in /sys/kernel/mm/ksm.
struct Statistics {
  std::uint64_t pages_shared = 0;    ///< pages that others are merged into
  std::uint64_t pages_sharing = 0;   ///< pages saved
  std::uint64_t pages_unshared = 0;  ///< pages that are unique but checked again and again
  std::uint64_t pages_volatile = 0;  ///< pages that change too fast
  std::uint64_t full_scans = 0;      ///< times that all mergeable memory was looked at
};

[[nodiscard]] SBX_API Statistics
statistics(const std::filesystem::path& directory = "/sys/kernel/mm/ksm");

/// Settings of ksmd; a field left empty stays as it is.
struct Settings {
  std::optional<bool> run{};                          ///< scan at all
  std::optional<std::uint64_t> pages_to_scan{};       ///< before each sleep
  std::optional<std::uint64_t> sleep_milliseconds{};  ///< between scans
  std::optional<bool> merge_across_nodes{};           ///< NUMA nodes
};

/// Control of ksmd for the lifetime of the object: sets what is asked for, and puts the old values
/// back on destruction (or by restore(), which reports what could not be put back).
class SBX_API Control {
 public:
  /// Needs write access to the files: root. Throws SystemError and leaves everything as it was.
  explicit Control(const Settings& settings,
                   std::filesystem::path directory = "/sys/kernel/mm/ksm");
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  Control(Control&& other) noexcept;
  Control& operator=(Control&& other) noexcept;
  ~Control();

  /// Puts the old values back now. Throws SystemError for the first file that refuses.
  void restore();

 private:
  struct Saved {
    std::string file;
    std::string value;
  };

  std::filesystem::path directory_;
  std::vector<Saved> saved_;  // in the order of change; restored from the back
};

}  // namespace sbx::ksm
