// SPDX-License-Identifier: Apache-2.0
//
// What the host's network needs for all sandboxes together: forwarding, an address of the host's
// own, the firewall, the bridge.
#pragma once

#include <linux/netlink.h>

#include <cerrno>
#include <vector>

#include "kernel/netlink/connection_tracking.hpp"
#include "kernel/netlink/route_messages.hpp"
#include "kernel/netlink/socket.hpp"
#include "launch/network/address_book.hpp"
#include "launch/network/tenant.hpp"
#include "launch/network/wall.hpp"
#include "sbx/network.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// What the kernel refuses an address or a route of IPv6 for where the link is without, by
/// net.ipv6.conf.*.disable_ipv6, as it was when the link was made, or is now; and where the kernel
/// is.
inline constexpr Excuses kNoIpv6{EACCES, EOPNOTSUPP};

/// And a neighbour.
inline constexpr Excuses kNoIpv6Neighbour{EINVAL, EAFNOSUPPORT};

/// The conversations with the kernel that a change of the host's network takes.
struct Conversations {
  Conversations() { require_libnl(); }  // before anything is changed

  NetlinkSocket links{NETLINK_ROUTE};
  nft::Nftables tables;
  ConnectionTracking tracking;
};

/// Makes sure that all of it is there. What is changed is written down before.
HostRecord set_up_host(AddressBook& book, const HostNetwork& host, Conversations& kernel);

/// Looks for others' firewalls that will be in the way, when other filters are there than the last
/// time: `record` has the warnings then.
void look_for_walls(HostRecord& record, const HostNetwork& host, const HostNames& names,
                    const Conversations& kernel);

/// Makes sure that the bridge is.
void set_up_bridge(AddressBook& book, const Wall& wall, HostRecord& record, Conversations& kernel);

/// Builds the walls anew, with those in the book inside: for somebody has removed them.
void rebuild_walls(AddressBook& book, const HostNetwork& host, const HostRecord& record,
                   Conversations& kernel);

/// Takes all of it back, when nobody is left in the book.
void take_down_host(AddressBook& book, const HostNetwork& host, Conversations& kernel);

/// Lets what the host's loopback has asked come back through the link, and what is asked of a name
/// server there in. Nothing else is: see build_wall().
void open_to_loopback(const LinkName& link, NetlinkSocket& links);

/// Whether the name server that sandboxes ask is on the host's loopback.
bool asks_loopback(const HostRecord& record);

}  // namespace sbx::detail
