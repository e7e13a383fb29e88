// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/link_name.hpp"

#include <cerrno>

#include "sys/error.hpp"

namespace sbx::detail {

bool is_link_name(std::string_view name) {
  // '%' is for the kernel to put a number in its place.
  constexpr std::string_view kRefused(" \t\n\v\f\r/:%\0", 10);
  return !name.empty() && name.size() <= kLongestLinkName && name != "." && name != ".." &&
         name.find_first_of(kRefused) == std::string_view::npos;
}

std::optional<LinkName> find_link(const NetlinkSocket& socket, const std::string& name) {
  const auto index = socket.link_index(name);
  return index ? std::optional(LinkName{*index, name}) : std::nullopt;
}

LinkName open_link(const NetlinkSocket& socket, const std::string& name) {
  const auto link = find_link(socket, name);
  if (!link) throw SystemError(ENODEV, fmt::format("cannot find the link '{}'", printable(name)));
  return *link;
}

}  // namespace sbx::detail
