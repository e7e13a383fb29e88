// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <sys/un.h>

#include <optional>
#include <string>

namespace sbx::detail {

/// The address of the Unix socket `name` in an open directory, by way of the directory's
/// descriptor: an address holds 108 bytes, and a path may be longer. None when the name is.
inline std::optional<sockaddr_un> address_in(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  path.copy(address.sun_path, path.size());
  return address;
}

}  // namespace sbx::detail
