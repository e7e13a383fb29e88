// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/netlink/socket.hpp"

namespace sbx::detail {

inline constexpr std::size_t kLongestLinkName = 15;

/// A link as messages name it, and as errors do. With the index 0 it is that of the name, for what
/// is about a link itself; addresses, routes, neighbours and limits need the index.
struct LinkName {
  int index = 0;
  std::string name;
};

/// The link of that name, by its number, in the socket's namespace.
std::optional<LinkName> find_link(const NetlinkSocket& socket, const std::string& name);

/// The same. ENODEV when there is none.
LinkName open_link(const NetlinkSocket& socket, const std::string& name);

/// Whether a link may have that name.
bool is_link_name(std::string_view name);

}  // namespace sbx::detail
