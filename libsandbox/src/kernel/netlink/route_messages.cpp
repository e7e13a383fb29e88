// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/route_messages.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernel/netlink/libnl_owned.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::uint32_t kRateHandle = 0x10000;  // "1:" of tc(8)

void append(NetlinkMessages& messages, const OwnedMessage& message, Attempt attempt) {
  nlmsghdr* const header = libnl().nlmsg_hdr(message.get());
  // Without an acknowledgement, which libnl asks for: send() hears of errors alone.
  header->nlmsg_flags =
      static_cast<std::uint16_t>((header->nlmsg_flags | NLM_F_REQUEST) & ~NLM_F_ACK);
  messages.append(header, std::move(attempt));
}

int creation_flags(Existing existing) {
  return NLM_F_CREATE | (existing == Existing::kReplaced ? NLM_F_REPLACE : NLM_F_EXCL);
}

const std::string& require_name(const std::string& name) {
  if (is_link_name(name)) return name;
  throw std::invalid_argument(fmt::format(
      "cannot name a link '{}': a name has 1 to {} bytes, none of them a blank or one of '/:%'",
      printable(name), kLongestLinkName));
}

OwnedAddr address_of(const IpAddress& address) {
  const int family = address.family() == IpFamily::kIpv4 ? AF_INET : AF_INET6;
  const auto bytes = address.bytes();
  return OwnedAddr(made(libnl().nl_addr_build(family, bytes.data(), bytes.size())));
}

OwnedAddr address_of(const IpPrefix& prefix) {
  if (prefix.length > prefix.address.bits()) {
    throw std::invalid_argument(
        fmt::format("'{}' is no block of addresses: its length is a number from 0 to {}",
                    prefix.to_string(), prefix.address.bits()));
  }
  OwnedAddr address = address_of(prefix.address);
  libnl().nl_addr_set_prefixlen(address.get(), static_cast<int>(prefix.length));
  return address;
}

OwnedAddr address_of(const MacAddress& mac) {
  return OwnedAddr(made(libnl().nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size())));
}

OwnedLink link_of(const LinkName& name) {
  OwnedLink link(made(libnl().rtnl_link_alloc()));
  if (name.index != 0) {
    libnl().rtnl_link_set_ifindex(link.get(), name.index);
  } else {
    libnl().rtnl_link_set_name(link.get(), require_name(name.name).c_str());
  }
  return link;
}

/// The message that lets `name` have what `set` sets.
template <typename F>
OwnedMessage change(const LinkName& name, F set) {
  const OwnedLink link = link_of(name);
  // Without an index the kernel looks for the name, which is among what is to be set then.
  const OwnedLink changes =
      name.index == 0 ? link_of(name) : OwnedLink(made(libnl().rtnl_link_alloc()));
  set(changes.get());
  return build(libnl().rtnl_link_build_change_request, link.get(), changes.get(), 0);
}

/// An attribute that holds others, from its making to its end.
class Nest {
 public:
  Nest(const OwnedMessage& message, int type)
      : message_(message.get()), start_(made(libnl().nla_nest_start(message_, type))) {}
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;
  Nest(Nest&&) = delete;
  Nest& operator=(Nest&&) = delete;
  ~Nest() { libnl().nla_nest_end(message_, start_); }

 private:
  nl_msg* message_;
  nlattr* start_;
};

void set_group(rtnl_link* link, std::uint32_t group) {
  libnl().rtnl_link_set_group(link, static_cast<int>(group));
}

void set_ends(const Veth& veth, rtnl_link* outer, rtnl_link* peer) {
  const Libnl& nl = libnl();
  nl.rtnl_link_set_name(outer, require_name(veth.name).c_str());
  nl.rtnl_link_set_name(peer, require_name(veth.peer_name).c_str());
  if (veth.group != 0) set_group(outer, veth.group);
  if (veth.mac) nl.rtnl_link_set_addr(outer, address_of(*veth.mac).get());
  if (veth.peer_mac) nl.rtnl_link_set_addr(peer, address_of(*veth.peer_mac).get());
  if (veth.peer_namespace != nullptr) nl.rtnl_link_set_ns_fd(peer, veth.peer_namespace->fd());
  if (!veth.arp) nl.rtnl_link_set_flags(outer, IFF_NOARP);
}

OwnedLinkAddress link_address(const LinkName& link, const IpPrefix& prefix) {
  OwnedLinkAddress address(made(libnl().rtnl_addr_alloc()));
  libnl().rtnl_addr_set_ifindex(address.get(), link.index);
  done(libnl().rtnl_addr_set_local(address.get(), address_of(prefix).get()));
  return address;
}

OwnedRoute route_of(const LinkName& link, const Route& route) {
  const Libnl& nl = libnl();
  OwnedRoute made_route(made(nl.rtnl_route_alloc()));
  done(nl.rtnl_route_set_dst(made_route.get(), address_of(route.destination).get()));
  if (route.on_link) nl.rtnl_route_set_flags(made_route.get(), RTNH_F_ONLINK);
  rtnl_nexthop* const hop = made(nl.rtnl_route_nh_alloc());
  nl.rtnl_route_add_nexthop(made_route.get(), hop);  // which owns it from here on
  nl.rtnl_route_nh_set_ifindex(hop, link.index);
  if (!route.gateway) return made_route;
  if (route.gateway->family() != route.destination.address.family()) {
    throw std::invalid_argument(
        fmt::format("'{}' cannot be a gateway to '{}': one is an IPv4 address, one IPv6",
                    route.gateway->to_string(), route.destination.to_string()));
  }
  nl.rtnl_route_nh_set_gateway(hop, address_of(*route.gateway).get());
  return made_route;
}

std::string name_route(const LinkName& link, const Route& route) {
  const std::string gateway =
      route.gateway ? fmt::format(" by '{}'", route.gateway->to_string()) : "";
  return fmt::format("the route to '{}'{} through '{}'", route.destination.to_string(), gateway,
                     printable(link.name));
}

OwnedNeighbour neighbour_of(const LinkName& link, const IpAddress& address) {
  OwnedNeighbour neighbour(made(libnl().rtnl_neigh_alloc()));
  libnl().rtnl_neigh_set_ifindex(neighbour.get(), link.index);
  done(libnl().rtnl_neigh_set_dst(neighbour.get(), address_of(address).get()));
  return neighbour;
}

OwnedMessage queue_message(const LinkName& link, int type, int flags) {
  OwnedMessage message(made(libnl().nlmsg_alloc_simple(type, flags)));
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = link.index;
  header.tcm_handle = kRateHandle;
  header.tcm_parent = TC_H_ROOT;
  done(libnl().nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  done(libnl().nla_put_string(message.get(), TCA_KIND, "tbf"));
  return message;
}

std::uint32_t at_most_u32(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(value, kMost));
}

// By hand: libnl keeps a rate in an int, which ends at 17 gbit.
OwnedMessage token_bucket(const LinkName& link, std::uint64_t bits_per_second) {
  // A packet of TCP has up to 64 KiB and a header for each frame that it becomes: one larger than
  // the bucket is cut up, and one larger than the queue never goes.
  constexpr std::uint64_t kLargestPacket = std::uint64_t{72} << 10;
  const std::uint64_t rate = std::max<std::uint64_t>(bits_per_second / 8, 1);
  const std::uint32_t burst = at_most_u32(std::max(kLargestPacket, rate / 250));
  tc_tbf_qopt options{};
  options.rate.linklayer = TC_LINKLAYER_ETHERNET;  // else the kernel wants a table of times
  options.rate.rate = at_most_u32(rate);
  options.limit = at_most_u32(std::max<std::uint64_t>(burst, rate / 4));

  OwnedMessage message = queue_message(link, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  {
    const Nest nest(message, TCA_OPTIONS);
    done(libnl().nla_put(message.get(), TCA_TBF_PARMS, sizeof options, &options));
    done(libnl().nla_put_u64(message.get(), TCA_TBF_RATE64, rate));
    done(libnl().nla_put_u32(message.get(), TCA_TBF_BURST, burst));
  }
  return message;
}

}  // namespace

void require_libnl() { libnl(); }

void RouteMessages::create(const Veth& veth) {
  const OwnedLink outer(made(libnl().rtnl_link_veth_alloc()));
  // Up, the peer would be refused: it has no fellow yet.
  const OwnedLink peer(made(libnl().rtnl_link_veth_get_peer(outer.get())));
  set_ends(veth, outer.get(), peer.get());
  append(messages_,
         build(libnl().rtnl_link_build_add_request, outer.get(), NLM_F_CREATE | NLM_F_EXCL), [=] {
           return fmt::format("cannot create the veth pair '{}' and '{}'", printable(veth.name),
                              printable(veth.peer_name));
         });
}

void RouteMessages::create_bridge(const std::string& name, const std::optional<MacAddress>& mac,
                                  std::uint32_t group) {
  const OwnedLink link = link_of({.index = 0, .name = name});
  if (group != 0) set_group(link.get(), group);
  if (mac) libnl().rtnl_link_set_addr(link.get(), address_of(*mac).get());
  done(libnl().rtnl_link_set_type(link.get(), "bridge"));
  append(messages_,
         build(libnl().rtnl_link_build_add_request, link.get(), NLM_F_CREATE | NLM_F_EXCL),
         [=] { return fmt::format("cannot create the bridge '{}'", printable(name)); });
}

void RouteMessages::remove(const LinkName& link) {
  append(messages_, build(libnl().rtnl_link_build_delete_request, link_of(link).get()),
         [=] { return fmt::format("cannot remove the link '{}'", printable(link.name)); });
}

void RouteMessages::set_no_link_local(const LinkName& link) {
  OwnedMessage message = change(link, [](rtnl_link*) {});
  {
    const Nest families(message, IFLA_AF_SPEC);
    const Nest family(message, AF_INET6);
    done(libnl().nla_put_u8(message.get(), IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));
  }
  append(messages_, message,
         [=] { return fmt::format("cannot keep IPv6 addresses from '{}'", printable(link.name)); });
  excuse_last({EAFNOSUPPORT, 0});
}

void RouteMessages::refuse_source_routes(const LinkName& link) {
  OwnedMessage message = change(link, [](rtnl_link*) {});
  {
    const Nest families(message, IFLA_AF_SPEC);
    const Nest family(message, AF_INET);
    const Nest settings(message, IFLA_INET_CONF);
    done(libnl().nla_put_u32(message.get(), IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0));
  }
  append(messages_, message, [=] {
    return fmt::format("cannot keep '{}' from following routes in packets", printable(link.name));
  });
}

void RouteMessages::stop_snooping(const LinkName& bridge) {
  OwnedMessage message = change(bridge, [](rtnl_link*) {});
  {
    const Nest info(message, IFLA_LINKINFO);
    done(libnl().nla_put_string(message.get(), IFLA_INFO_KIND, "bridge"));
    const Nest data(message, IFLA_INFO_DATA);
    done(libnl().nla_put_u8(message.get(), IFLA_BR_MCAST_SNOOPING, 0));
  }
  append(messages_, message, [=] {
    return fmt::format("cannot keep the bridge '{}' from listening", printable(bridge.name));
  });
}

void RouteMessages::set_number(const Namespace& network, int number) {
  const OwnedMessage message(made(libnl().nlmsg_alloc_simple(RTM_NEWNSID, 0)));
  rtgenmsg header{};
  done(libnl().nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  done(libnl().nla_put_u32(message.get(), NETNSA_FD, static_cast<std::uint32_t>(network.fd())));
  done(libnl().nla_put_u32(message.get(), NETNSA_NSID, static_cast<std::uint32_t>(number)));
  append(messages_, message,
         [=] { return fmt::format("cannot give a network namespace the number {}", number); });
}

void RouteMessages::set_up(const LinkName& link) {
  append(messages_, change(link, [](rtnl_link* up) { libnl().rtnl_link_set_flags(up, IFF_UP); }),
         [=] { return fmt::format("cannot set '{}' up", printable(link.name)); });
}

void RouteMessages::set_down(const LinkName& link) {
  append(messages_,
         change(link, [](rtnl_link* down) { libnl().rtnl_link_unset_flags(down, IFF_UP); }),
         [=] { return fmt::format("cannot set '{}' down", printable(link.name)); });
}

void RouteMessages::wake(const LinkName& link) {
  const OwnedMessage message(made(libnl().nlmsg_alloc_simple(RTM_GETLINK, 0)));
  ifinfomsg header{};
  header.ifi_index = link.index;
  done(libnl().nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO));
  done(libnl().nla_put_u32(message.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS));
  append(messages_, message,
         [=] { return fmt::format("cannot look at the link '{}'", printable(link.name)); });
}

void RouteMessages::set_mtu(const LinkName& link, std::uint32_t bytes) {
  append(messages_,
         change(link, [bytes](rtnl_link* sized) { libnl().rtnl_link_set_mtu(sized, bytes); }), [=] {
           return fmt::format("cannot set the MTU of '{}' to {}", printable(link.name), bytes);
         });
}

void RouteMessages::join(const LinkName& link, const LinkName& bridge, const BridgePort& port) {
  const int master = bridge.index;
  append(
      messages_,
      change(link, [master](rtnl_link* joined) { libnl().rtnl_link_set_master(joined, master); }),
      [=] {
        return fmt::format("cannot make '{}' a port of '{}'", printable(link.name),
                           printable(bridge.name));
      });

  // A message of its own, because the kernel asks the bridge that the link is a port of before.
  const std::pair<int, bool> wanted[] = {{IFLA_BRPORT_ISOLATED, port.isolated},
                                         {IFLA_BRPORT_LEARNING, port.learning},
                                         {IFLA_BRPORT_UNICAST_FLOOD, port.flood},
                                         {IFLA_BRPORT_MCAST_FLOOD, port.flood},
                                         {IFLA_BRPORT_BCAST_FLOOD, port.flood}};
  OwnedMessage message = change(link, [](rtnl_link*) {});
  {
    const Nest info(message, IFLA_LINKINFO);
    done(libnl().nla_put_string(message.get(), IFLA_INFO_SLAVE_KIND, "bridge"));
    const Nest data(message, IFLA_INFO_SLAVE_DATA);
    for (const auto& [type, value] : wanted) {
      done(libnl().nla_put_u8(message.get(), type, value ? 1 : 0));
    }
  }
  append(messages_, message, [=] {
    return fmt::format("cannot set what the bridge '{}' does with '{}'", printable(bridge.name),
                       printable(link.name));
  });
}

void RouteMessages::add_address(const LinkName& link, const IpPrefix& address, Existing existing) {
  const OwnedLinkAddress added = link_address(link, address);
  if (address.address.family() == IpFamily::kIpv6) {
    libnl().rtnl_addr_set_flags(added.get(), IFA_F_NODAD);
  }
  append(messages_,
         build(libnl().rtnl_addr_build_add_request, added.get(), creation_flags(existing)), [=] {
           return fmt::format("cannot add the address '{}' to '{}'", address.to_string(),
                              printable(link.name));
         });
}

void RouteMessages::remove_address(const LinkName& link, const IpPrefix& address) {
  append(messages_,
         build(libnl().rtnl_addr_build_delete_request, link_address(link, address).get(), 0), [=] {
           return fmt::format("cannot remove the address '{}' from '{}'", address.to_string(),
                              printable(link.name));
         });
}

void RouteMessages::add_route(const LinkName& link, const Route& route, Existing existing) {
  append(messages_,
         build(libnl().rtnl_route_build_add_request, route_of(link, route).get(),
               creation_flags(existing)),
         [=] { return fmt::format("cannot add {}", name_route(link, route)); });
}

void RouteMessages::remove_route(const LinkName& link, const Route& route) {
  const OwnedRoute removed = route_of(link, route);
  libnl().rtnl_route_set_protocol(removed.get(), RTPROT_UNSPEC);  // whoever has added it
  append(messages_, build(libnl().rtnl_route_build_del_request, removed.get(), 0),
         [=] { return fmt::format("cannot remove {}", name_route(link, route)); });
}

void RouteMessages::add_neighbour(const LinkName& link, const IpAddress& address,
                                  const MacAddress& mac, Existing existing) {
  const OwnedNeighbour neighbour = neighbour_of(link, address);
  libnl().rtnl_neigh_set_lladdr(neighbour.get(), address_of(mac).get());
  libnl().rtnl_neigh_set_state(neighbour.get(), NUD_PERMANENT);
  append(messages_,
         build(libnl().rtnl_neigh_build_add_request, neighbour.get(), creation_flags(existing)),
         [=] {
           return fmt::format("cannot add the neighbour '{}' of '{}'", address.to_string(),
                              printable(link.name));
         });
}

void RouteMessages::add_forwarding(const LinkName& port, const MacAddress& mac) {
  const OwnedNeighbour entry(made(libnl().rtnl_neigh_alloc()));
  libnl().rtnl_neigh_set_family(entry.get(), AF_BRIDGE);
  libnl().rtnl_neigh_set_ifindex(entry.get(), port.index);
  libnl().rtnl_neigh_set_lladdr(entry.get(), address_of(mac).get());
  libnl().rtnl_neigh_set_flags(entry.get(), NTF_MASTER);
  libnl().rtnl_neigh_set_state(entry.get(), NUD_NOARP);
  append(messages_,
         build(libnl().rtnl_neigh_build_add_request, entry.get(), NLM_F_CREATE | NLM_F_REPLACE),
         [=] {
           return fmt::format("cannot let the bridge know that '{}' is at '{}'", mac.to_string(),
                              printable(port.name));
         });
}

void RouteMessages::add_first_route(const LinkName& link, const IpAddress& address) {
  const Route route{.destination = {address, address.bits()}};
  const OwnedRoute first = route_of(link, route);
  // Of IPv4 it is 0, which comes first; of IPv6 1024, and 256 of what a router announces.
  if (address.family() == IpFamily::kIpv6) libnl().rtnl_route_set_priority(first.get(), 1);
  append(messages_,
         build(libnl().rtnl_route_build_add_request, first.get(), NLM_F_CREATE | NLM_F_REPLACE),
         [=] { return fmt::format("cannot add {}", name_route(link, route)); });
}

void RouteMessages::add_local_route(const LinkName& link, const IpAddress& address) {
  constexpr std::uint32_t kLastChoice = 2048;
  const Route route{.destination = {address, address.bits()}};
  const OwnedRoute local = route_of(link, route);
  done(libnl().rtnl_route_set_type(local.get(), RTN_LOCAL));
  libnl().rtnl_route_set_table(local.get(), RT_TABLE_LOCAL);
  libnl().rtnl_route_set_priority(local.get(), kLastChoice);
  append(messages_,
         build(libnl().rtnl_route_build_add_request, local.get(), NLM_F_CREATE | NLM_F_REPLACE),
         [=] { return fmt::format("cannot add {}", name_route(link, route)); });
}

void RouteMessages::remove_neighbour(const LinkName& link, const IpAddress& address) {
  append(messages_,
         build(libnl().rtnl_neigh_build_delete_request, neighbour_of(link, address).get(), 0), [=] {
           return fmt::format("cannot remove the neighbour '{}' of '{}'", address.to_string(),
                              printable(link.name));
         });
}

void RouteMessages::limit_rate(const LinkName& link, std::uint64_t bits_per_second) {
  if (bits_per_second > 0) {
    append(messages_, token_bucket(link, bits_per_second),
           [=] { return fmt::format("cannot limit the rate of '{}'", printable(link.name)); });
    return;
  }
  // Where there is no limit the kernel would find nothing to delete: so there is one.
  const Attempt attempt = [=] {
    return fmt::format("cannot lift the limit of the rate of '{}'", printable(link.name));
  };
  append(messages_, token_bucket(link, std::numeric_limits<std::uint64_t>::max()), attempt);
  append(messages_, queue_message(link, RTM_DELQDISC, 0), attempt);
}

}  // namespace sbx::detail
