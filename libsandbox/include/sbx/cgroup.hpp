// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"
#include "sbx/limits.hpp"

// Control groups: processes that are limited, counted, frozen and killed together. See cgroups(7).
namespace sbx {

/// What of a group can be limited. A kernel has each in one hierarchy: that of version 2, or one of
/// version 1.
enum class Controller { kCpu, kCpuset, kHugetlb, kIo, kMemory, kPids };

/// The kernel's word: "cpu", "cpuset", "hugetlb", "io", "memory", "pids". Version 1 calls "io"
/// "blkio".
[[nodiscard]] SBX_API std::string_view to_string(Controller controller);

/// The controllers that `limits` needs.
[[nodiscard]] SBX_API std::vector<Controller> controllers_of(const Limits& limits);

/// How long processes waited for a resource: `some`, at least one of them; `full`, all at once. See
/// Documentation/accounting/psi.rst in the kernel's source.
struct Pressure {
  struct Line {
    double average_10s = 0;  ///< percent of the last ten seconds
    double average_60s = 0;
    double average_300s = 0;
    std::chrono::microseconds total{0};
  };
  Line some{};
  Line full{};
};

/// What the processes of a group use and have used, ended ones and those of groups below included.
/// The same with both versions; empty where the kernel does not count it, or the group lacks the
/// controller.
struct CgroupStatistics {
  std::optional<std::uint64_t> memory_bytes{};
  std::optional<std::uint64_t> memory_peak_bytes{};
  std::optional<std::uint64_t> swap_bytes{};
  std::optional<std::uint64_t> oom_kills{};           ///< processes killed for want of memory
  std::optional<std::uint64_t> memory_high_events{};  ///< times slowed down for memory_high_bytes

  std::optional<std::chrono::microseconds> cpu_user{};
  std::optional<std::chrono::microseconds> cpu_system{};
  std::optional<std::chrono::microseconds>
      cpu_throttled{};  ///< stood still for want of Limits::cpus
  std::optional<std::uint64_t> cpu_throttled_periods{};

  std::optional<std::uint64_t> pids{};
  std::optional<std::uint64_t> pids_peak{};
  std::optional<std::uint64_t> pids_refused{};  ///< forks that failed for want of Limits::pids

  std::optional<std::uint64_t> io_read_bytes{};  ///< from storage, as those below
  std::optional<std::uint64_t> io_write_bytes{};
  std::optional<std::uint64_t> io_read_operations{};
  std::optional<std::uint64_t> io_write_operations{};

  std::optional<Pressure> cpu_pressure{};
  std::optional<Pressure> memory_pressure{};
  std::optional<Pressure> io_pressure{};
};

namespace detail {
struct CgroupMaker;
struct CgroupPart;
}  // namespace detail

/// A control group: a directory in each hierarchy that one of its controllers is in, and in that of
/// version 2 wherever there is one, which can freeze, kill, and tell when a group is empty. Members
/// that can fail throw SystemError, with the file and the cure where one is known.
class SBX_API Cgroup {
 public:
  /// Makes the group `name` below the caller's own. Throws EEXIST when there is one, EACCES where
  /// the caller's own is somebody else's, or is systemd's and was not delegated. Where the caller's
  /// group is one of version 2 that holds processes and has no groups below yet, these move into a
  /// new leaf of it, "sbx-leaf": the kernel shares resources out only among leaves. Nothing else
  /// outside the new group is changed.
  static Cgroup create(const std::string& name, const std::vector<Controller>& controllers);

  /// The groups that process `pid` is in, in every hierarchy; they are not owned.
  static Cgroup of(int pid);

  Cgroup(Cgroup&&) noexcept;
  Cgroup& operator=(Cgroup&&) noexcept;
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  /// As remove() for a group that is owned, but without a word.
  ~Cgroup();

  /// Makes a group below this one, which gets its share of what this one has. With version 2, what
  /// processes are in this one move into a leaf of it, "main".
  Cgroup create_child(const std::string& name, const std::vector<Controller>& controllers);

  /// Sets the limits that are given; others stay as they are. They hold at once, for what runs,
  /// too. Throws std::invalid_argument for one that makes no sense, SystemError (EBUSY) where the
  /// kernel cannot take memory back fast enough, and where the group lacks the controller.
  void set(const Limits& limits);

  /// Moves process `pid`, with all its threads, into the group. What it starts from then on is in
  /// the group, too.
  void attach(int pid);

  /// Stops all processes of the group and of those below, and returns when they stand still.
  void freeze();
  void thaw();

  /// Sends SIGKILL to all processes of the group and of those below, frozen ones included. They are
  /// all caught, whatever they fork meanwhile.
  void kill();

  /// Whether any process is in it or in a group below.
  [[nodiscard]] bool populated() const;

  /// Waits until none is, at most until `timeout` is over (below zero: for ever); false if so.
  bool wait_empty(std::chrono::milliseconds timeout) const;

  [[nodiscard]] CgroupStatistics statistics() const;

  /// Kills what is in the group, waits for its end, and removes it and the groups below.
  void remove();

  /// Leaves the group alone from now on: it stays when the handle is gone.
  void release() noexcept;

  /// The directory in the hierarchy of `controller`; empty when the group lacks it.
  [[nodiscard]] std::filesystem::path path(Controller controller) const;

  /// The directory in the hierarchy of version 2, for CLONE_INTO_CGROUP; -1 without one. Still
  /// owned.
  [[nodiscard]] int fd() const noexcept;

 private:
  friend class CgroupWatch;
  friend struct detail::CgroupMaker;

  Cgroup() noexcept;
  [[nodiscard]] const detail::CgroupPart* part_with(Controller controller) const noexcept;
  [[nodiscard]] const detail::CgroupPart& leader() const;

  std::vector<detail::CgroupPart> parts_;  // that of version 2 first
  bool owned_ = false;
  std::shared_ptr<const void> keeper_;  // what has to live as long as the group
};

/// What a CgroupWatch tells.
enum class CgroupEvent {
  kEmpty,        ///< the last process of the group has ended; may be told more than once
  kOutOfMemory,  ///< the kernel looks for a process to kill, or has killed one
  kMemoryHigh,   ///< slowed down for memory_high_bytes
  kPressure,     ///< a threshold of PressureThreshold was crossed
};

/// Asks for CgroupEvent::kPressure when processes of the group have waited for `resource` longer
/// than `stall` within any `window`. Without CAP_SYS_RESOURCE the window must be whole multiples of
/// two seconds, and the kernel 6.5.
struct PressureThreshold {
  Controller resource = Controller::kMemory;  ///< kCpu, kIo or kMemory
  std::chrono::microseconds stall{150000};
  std::chrono::microseconds window{2000000};
  bool full = false;  ///< count only what stopped all processes at once
};

/// Tells what happens to a group, without asking again and again.
class SBX_API CgroupWatch {
 public:
  /// Watches for what the kernel can tell of the group: kEmpty and thresholds where there is a
  /// hierarchy of version 2, kMemoryHigh where the memory controller is in it.
  explicit CgroupWatch(const Cgroup& group, const std::vector<PressureThreshold>& thresholds = {});

  CgroupWatch(CgroupWatch&&) noexcept;
  CgroupWatch& operator=(CgroupWatch&&) noexcept;
  CgroupWatch(const CgroupWatch&) = delete;
  CgroupWatch& operator=(const CgroupWatch&) = delete;
  ~CgroupWatch();

  /// Becomes readable when wait() has something to say. For poll(2) and epoll(7).
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

  /// What has happened since the last call; waits for it until `timeout` is over (below zero: for
  /// ever), and is empty then.
  std::vector<CgroupEvent> wait(std::chrono::milliseconds timeout);

 private:
  struct Source;

  void add(Source source, std::uint32_t epoll_events);

  UniqueFd epoll_;
  std::vector<Source> sources_;
};

}  // namespace sbx
