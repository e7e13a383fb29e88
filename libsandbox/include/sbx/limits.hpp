// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sbx {

/// How fast one block device may be read and written. A field left empty is no limit.
struct IoLimit {
  /// The device's file, such as /dev/vda, or any file of a file system on it. A partition stands
  /// for its whole device: the kernel counts no smaller.
  std::filesystem::path device{};
  std::optional<std::uint64_t> read_bytes_per_second{};
  std::optional<std::uint64_t> write_bytes_per_second{};
  std::optional<std::uint64_t> read_operations_per_second{};
  std::optional<std::uint64_t> write_operations_per_second{};
  std::optional<std::uint32_t> weight{};  ///< 1 to 10000, of this device; Limits::io_weight else

  friend bool operator==(const IoLimit&, const IoLimit&) = default;
};

/// How much memory the huge pages of one size may take.
struct HugetlbLimit {
  std::uint64_t page_bytes = 0;  ///< 2 MiB or 1 GiB, say
  std::uint64_t bytes = 0;

  friend bool operator==(const HugetlbLimit&, const HugetlbLimit&) = default;
};

/// What a group of processes may use, of all together. A field left empty is no limit. The kernel
/// holds them by control groups: see cgroups(7), and Documentation/admin-guide/cgroup-v2.rst in its
/// source. They mean the same with both versions of these; what only one has is said here.
struct Limits {
  /// Everything that is charged to them: their own memory, what they keep in tmpfs and /dev/shm,
  /// the page cache of what they read and write. At the limit the kernel takes page cache back,
  /// and then kills a process. Rounded down to whole pages.
  std::optional<std::uint64_t> memory_bytes{};

  /// Above it they are slowed down and their memory is taken back; nothing is killed. Version 2.
  std::optional<std::uint64_t> memory_high_bytes{};

  /// Swap, beside the memory. Empty: none where memory_bytes is given, else no limit. Version 1 can
  /// limit it only together with memory_bytes.
  std::optional<std::uint64_t> swap_bytes{};

  /// Want of memory ends all of them, not the largest alone. Version 2.
  bool memory_group_kill = false;

  /// Processors' worth of time in every 100 ms: 0.5 is half of one. At least 0.001.
  std::optional<double> cpus{};

  /// Share of processors that others want, too: 1 to 10000; 100 is what a group has by default.
  std::optional<std::uint32_t> cpu_weight{};

  /// The processors that they may run on, as a list such as "0-3,6". Empty: all.
  std::string processors{};

  /// Processes and threads at one time. The init of a sandbox does not count.
  std::optional<std::uint64_t> pids{};

  std::vector<IoLimit> io{};

  /// Share of the devices' time, as cpu_weight; where an I/O scheduler of the kernel has shares.
  std::optional<std::uint32_t> io_weight{};

  std::vector<HugetlbLimit> hugetlb{};

  friend bool operator==(const Limits&, const Limits&) = default;
};

}  // namespace sbx
