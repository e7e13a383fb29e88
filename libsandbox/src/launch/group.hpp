// SPDX-License-Identifier: Apache-2.0
//
// The control group of a sandbox: made for its limits, found again, and read for its report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/cgroup_parts.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/fd.hpp"
#include "sbx/report.hpp"
#include "sbx/spec.hpp"

namespace sbx::detail {

/// A group with the limits of `spec`, below the caller's own; none where it has no limits, or where
/// only systemd can give the caller a place: then enter_scope() is for the child. Those of memory
/// are left to limit_memory(): a new child has the caller's memory, and whoever shares that of a
/// process without enough ends with it.
std::optional<Cgroup> make_group(const Spec& spec);

/// Has systemd move the child `pid` to a place of the caller's, and makes the group there, with the
/// child in it; none where `spec` has no limits.
std::optional<Cgroup> enter_scope(const Spec& spec, int pid);

/// Changes those of a running sandbox. Throws SystemError where they would have no effect, too.
void change_limits(Cgroup& group, const Limits& limits, Init init);

/// For a child that has executed the init, and before there is any other program.
void limit_memory(Cgroup& group, const Limits& limits);

/// Throws SystemError with ENOMEM when a process of the group has been killed for want of memory.
void require_fed(const Cgroup& group);

/// Whether limits have something for limit_memory().
bool limits_memory(const Limits& limits);

/// `limits` as those of a sandbox's group: its init is a process more, which does not count.
Limits with_room_for_init(Limits limits, Init init);

/// The group that was made for the sandbox whose process 1 is `pid`; none where it has no limits.
std::optional<Cgroup> find_group(int pid);

/// A group for one program in the sandbox's, with a share of its own. Throws SystemError when the
/// sandbox's lacks such limits.
Cgroup make_share(Cgroup& group, const Limits& limits);

/// Files of the group's directories: a process of one thread that writes "0" to each moves itself
/// into the group, with the rights of who opened them. Who moves another waits for milliseconds
/// until no processor is in the way. Those of version 2, too, for a child that is not born in
/// there.
enum class Entrances { kAll, kVersion1 };
std::vector<UniqueFd> open_entrances(const Cgroup& group, Entrances which);

/// For a program in whose time want of memory has killed something: says so, if it was killed.
void blame_memory(Report& report);

/// Tells whether want of memory has killed something in a group since a moment.
class OomCount {
 public:
  /// From now on; for process 1 of a sandbox.
  explicit OomCount(int pid);

  [[nodiscard]] bool has_risen() const { return now() > before_; }

 private:
  [[nodiscard]] std::uint64_t now() const;

  std::optional<Cgroup> group_;
  std::uint64_t before_ = 0;
};

/// The group's cpu.stat; none without a hierarchy of version 2.
UniqueFd open_clock(const Cgroup& group);

/// Adds what the group has used, and that want of memory ended the program where that is so.
/// `init`: whether one of the processes was an init.
void add_statistics(Report& report, const Cgroup& group, Init init);

/// One line for each file that would be written for `limits`. Throws where that can be seen not to
/// work.
std::string describe_group(const Limits& limits);

}  // namespace sbx::detail
