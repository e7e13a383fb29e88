// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/netlink/link_name.hpp"
#include "kernel/netlink/socket.hpp"
#include "sbx/link.hpp"

namespace sbx::detail {

/// Throws SystemError where the library is missing that messages are made with.
void require_libnl();

/// What becomes of what is there already.
enum class Existing { kRefused, kReplaced };

/// Changes for rtnetlink(7), made with libnl-route: put together first, and sent in one piece. The
/// kernel goes on after one that it refuses.
class RouteMessages {
 public:
  /// Throws std::invalid_argument for a name that no link can have. The ends are down, and
  /// `link_local` is not heeded: the kernel knows that of a link only when there is one.
  void create(const Veth& veth);
  void create_bridge(const std::string& name, const std::optional<MacAddress>& mac = {},
                     std::uint32_t group = 0);
  void remove(const LinkName& link);

  /// The link gives itself no IPv6 address when it is set up. Is excused where there is no IPv6.
  /// Goes to the namespace that the link is in.
  void set_no_link_local(const LinkName& link);

  /// The kernel drops what comes in there with a route of its own, of IPv4's options, even where
  /// others follow them: a filter sees but the place where such a packet goes first.
  void refuse_source_routes(const LinkName& link);

  /// The bridge does not listen to IGMP and MLD for who wants which group's packets: they go to the
  /// ports that flood. Else the kernel goes through all ports with each that joins, and keeps what
  /// they ask for.
  void stop_snooping(const LinkName& bridge);

  /// By which number the socket's namespace knows `network`. EEXIST when it has one, ENOSPC when
  /// another has this one.
  void set_number(const Namespace& network, int number);

  void set_up(const LinkName& link);
  void set_down(const LinkName& link);
  /// Lets the kernel notice, before it gets to it in its own time, whether packets can pass: it
  /// does when it is asked (since Linux 6.8).
  void wake(const LinkName& link);

  void set_mtu(const LinkName& link, std::uint32_t bytes);
  void join(const LinkName& link, const LinkName& bridge, const BridgePort& port);

  void add_address(const LinkName& link, const IpPrefix& address, Existing existing);
  void remove_address(const LinkName& link, const IpPrefix& address);
  void add_route(const LinkName& link, const Route& route, Existing existing);
  /// To that address alone: before all others, those of IPv6 that somebody announces, too. One that
  /// is there is replaced.
  void add_first_route(const LinkName& link, const IpAddress& address);

  void remove_route(const LinkName& link, const Route& route);
  void add_neighbour(const LinkName& link, const IpAddress& address, const MacAddress& mac,
                     Existing existing);

  /// Frames for `mac` go out at `port`, a port of a bridge, whether it has been heard of or not.
  void add_forwarding(const LinkName& port, const MacAddress& mac);

  /// Packets to `address` that come in at the link are the host's. One that it has elsewhere, too,
  /// is preferred there.
  void add_local_route(const LinkName& link, const IpAddress& address);

  void remove_neighbour(const LinkName& link, const IpAddress& address);
  void limit_rate(const LinkName& link, std::uint64_t bits_per_second);

  /// What was added last may be refused for these.
  void excuse_last(const Excuses& errors) { messages_.excuse_last(errors); }

  /// False where the kernel has refused what may be.
  bool send(NetlinkSocket& socket) const { return socket.send(messages_); }
  void clear() { messages_.clear(); }

 private:
  NetlinkMessages messages_;
};

}  // namespace sbx::detail
