// SPDX-License-Identifier: Apache-2.0
//
// On a host whose control groups are systemd's, a place among them is systemd's to give: see
// https://systemd.io/CGROUP_DELEGATION.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kernel/cgroup_tree.hpp"
#include "sbx/limits.hpp"

namespace sbx::detail {

/// Whether groups may be made below the one that `tree` says is the caller's: it is not systemd's,
/// or systemd has delegated it, and the caller may write there.
bool may_make_groups(const CgroupTree& tree);

/// Whether systemd runs this host and can be asked.
bool can_ask_systemd();

/// Has the processes moved into a new transient scope, delegated to the caller, by the user's
/// systemd or, called by root, by the system's. The scope goes when the last process in it has
/// ended. It has the weights of `limits`: its neighbours are other scopes. Throws SystemError.
void move_to_scope(const std::string& name, const std::vector<int>& pids, const Limits& limits);

/// Whether the group lies in such a scope.
bool is_in_scope(const std::filesystem::path& group);

}  // namespace sbx::detail
