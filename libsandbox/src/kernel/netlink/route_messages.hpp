// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernel/netlink/socket.hpp"
#include "sbx/link.hpp"

namespace sbx::detail {

/// A link as messages name it, and as errors do.
struct LinkName {
  int index = 0;
  std::string name;
};

/// What becomes of what is there already.
enum class Existing { kRefused, kReplaced };

/// Changes for rtnetlink(7), made with libnl-route: put together first, and sent in one piece. The
/// kernel goes on after one that it refuses.
class RouteMessages {
 public:
  void create(const Veth& veth);
  void create_bridge(const std::string& name, const std::optional<MacAddress>& mac = {});
  void remove(const LinkName& link);

  void set_up(const LinkName& link);
  void set_down(const LinkName& link);
  void set_mtu(const LinkName& link, std::uint32_t bytes);
  void join(const LinkName& link, const LinkName& bridge, const BridgePort& port);

  void add_address(const LinkName& link, const IpPrefix& address, Existing existing);
  void remove_address(const LinkName& link, const IpPrefix& address);
  void add_route(const LinkName& link, const Route& route, Existing existing);
  void remove_route(const LinkName& link, const Route& route);
  void add_neighbour(const LinkName& link, const IpAddress& address, const MacAddress& mac,
                     Existing existing);
  void remove_neighbour(const LinkName& link, const IpAddress& address);
  void limit_rate(const LinkName& link, std::uint64_t bits_per_second);

  void send(NetlinkSocket& socket) const { socket.send(messages_); }

 private:
  NetlinkMessages messages_;
};

}  // namespace sbx::detail
