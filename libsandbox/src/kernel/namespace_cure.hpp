// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace sbx::detail {

/// What an administrator has to change so that a user namespace can be made, after clone3(2),
/// unshare(2) or the write of its maps has failed with `errno_value`. Looks at the settings below
/// `sysctls`; empty when none of them is to blame.
std::string user_namespace_cure(int errno_value, const std::string& sysctls = "/proc/sys");

}  // namespace sbx::detail
