// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sbx/link.hpp"

namespace sbx::detail {

/// What RTM_NEWLINK tells of a link.
struct LinkAnswer {
  int index = 0;
  std::string name{};
  unsigned flags = 0;  ///< IFF_UP and others
  std::uint32_t mtu = 0;
  std::optional<MacAddress> mac{};
  LinkStatistics statistics{};
};

/// What RTM_NEWADDR tells.
struct AddressAnswer {
  int index = 0;
  IpPrefix address{};
};

/// One way of those that RTM_NEWROUTE tells.
struct RouteAnswer {
  int index = 0;  ///< 0: the destination is not to be reached, by the administrator's will
  Route route{};
};

LinkAnswer read_link(const nlmsghdr* message);
std::optional<AddressAnswer> read_address(const nlmsghdr* message);

/// None for a route of another table than the main one.
std::vector<RouteAnswer> read_route(const nlmsghdr* message);

}  // namespace sbx::detail
