// SPDX-License-Identifier: Apache-2.0
#include "kernel/namespace_cure.hpp"

#include <cerrno>
#include <optional>

#include "sys/error.hpp"
#include "sys/proc_file.hpp"

namespace sbx::detail {
namespace {

/// The value of a setting; none on a kernel that has no such setting.
std::optional<std::string> setting(const std::string& path) {
  try {
    const std::string text = read_file(path);
    return text.substr(0, text.find('\n'));
  } catch (const SystemError&) {
    return std::nullopt;
  }
}

}  // namespace

std::string user_namespace_cure(int errno_value, const std::string& sysctls) {
  if (errno_value == ENOSPC) {
    const auto limit = setting(sysctls + "/user/max_user_namespaces");
    if (!limit) return {};
    return fmt::format("raise the sysctl user.max_user_namespaces, which is {}", *limit);
  }
  if (errno_value != EPERM && errno_value != EACCES) return {};

  // The first is Debian's, the second Ubuntu's.
  if (setting(sysctls + "/kernel/unprivileged_userns_clone") == "0") {
    return "set the sysctl kernel.unprivileged_userns_clone to 1";
  }
  if (setting(sysctls + "/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or give the program "
           "an AppArmor profile that allows 'userns'";
  }
  return {};
}

}  // namespace sbx::detail
