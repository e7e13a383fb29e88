// SPDX-License-Identifier: Apache-2.0
//
// The parts of a root that are the sandbox's own, whatever the root is.
#pragma once

#include <filesystem>

#include "launch/identity.hpp"
#include "launch/step_list.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/spec.hpp"

namespace sbx::detail {

/// A /proc of the sandbox's own processes, its settings written and then made read-only.
void plan_proc(const Spec& spec, const Identity& identity, StepList& list);

/// The devices of a minimal /dev, its terminals, queues and shared memory; and what of /proc is
/// covered by the null device.
void plan_devices(const Spec& spec, const Identity& identity, StepList& list);

/// Where programs look for their own limits.
inline constexpr const char* kGroupPlace = "/sys/fs/cgroup";

/// A read-only view of the sandbox's own control group: runtimes size their heaps by it.
enum class GroupPlace { kOwnRoot, kGivenRoot };
void plan_group(const Cgroup& group, GroupPlace on, StepList& list);

/// An empty file system in memory, that of `owner`.
void plan_tmpfs(const std::filesystem::path& path, const Tmpfs& tmpfs, const User& owner,
                StepList& list);

}  // namespace sbx::detail
