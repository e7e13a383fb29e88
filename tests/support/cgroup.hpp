// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "sbx/cgroup.hpp"
#include "support/require.hpp"

namespace sbx::test {

/// Why the caller can make no group with `controllers`; empty when he can.
std::string why_no_cgroups(const std::vector<Controller>& controllers);

/// Every control group of the machine, in every hierarchy, with its limits; not which controllers
/// it lets those below have, which the first group below the caller's own changes there. Without
/// the scopes that systemd makes for sandboxes.
std::set<std::string> all_cgroups();

}  // namespace sbx::test

/// For a test that makes control groups with these controllers below the caller's.
#define SBX_REQUIRE_CGROUPS(...)                                                 \
  do {                                                                           \
    const std::string reason = ::sbx::test::why_no_cgroups({__VA_ARGS__});       \
    if (!reason.empty()) SBX_SKIP("needs control groups of its own: " + reason); \
  } while (false)
