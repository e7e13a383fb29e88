// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/route_answers.hpp"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "kernel/netlink/mnl.hpp"

namespace sbx::detail {
namespace {

using Bytes = std::span<const std::uint8_t>;

Bytes bytes_of(const nlattr* attribute) {
  return {static_cast<const std::uint8_t*>(mnl().attr_get_payload(attribute)),
          mnl().attr_get_payload_len(attribute)};
}

/// Passes the type and the bytes of each attribute after the message's own header on.
template <typename Header, typename F>
void each_attribute(const nlmsghdr* message, F each) {
  const auto pass = [](const nlattr* attribute, void* data) {
    (*static_cast<F*>(data))(mnl().attr_get_type(attribute), bytes_of(attribute));
    return MNL_CB_OK;
  };
  mnl().attr_parse(message, sizeof(Header), pass, &each);
}

template <typename Header>
Header header_of(const nlmsghdr* message) {
  Header header{};
  std::memcpy(&header, mnl().nlmsg_get_payload(message), sizeof header);
  return header;
}

/// As much of a T as there is; the rest is 0.
template <typename T>
T value_of(Bytes bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

std::optional<IpAddress> ip_of(Bytes bytes) {
  if (bytes.size() == 4) return IpAddress(bytes.first<4>());
  if (bytes.size() == 16) return IpAddress(bytes.first<16>());
  return std::nullopt;
}

std::optional<MacAddress> mac_of(Bytes bytes) {
  if (bytes.size() != sizeof(MacAddress)) return std::nullopt;
  return value_of<MacAddress>(bytes);
}

LinkStatistics statistics_of(Bytes bytes) {
  const auto all = value_of<rtnl_link_stats64>(bytes);
  return {.rx_bytes = all.rx_bytes,
          .tx_bytes = all.tx_bytes,
          .rx_packets = all.rx_packets,
          .tx_packets = all.tx_packets,
          .rx_dropped = all.rx_dropped,
          .tx_dropped = all.tx_dropped};
}

/// What a route's message holds that is not in its header.
struct RouteParts {
  std::uint32_t table = 0;
  int index = 0;
  std::optional<IpAddress> destination{};
  std::optional<IpAddress> gateway{};
  Bytes hops{};
};

std::optional<IpAddress> gateway_of(unsigned type, Bytes bytes) {
  // A gateway of another family than the destination's follows its family.
  return ip_of(type == RTA_VIA ? bytes.subspan(std::min(bytes.size(), sizeof(rtvia))) : bytes);
}

RouteParts parts_of(const nlmsghdr* message) {
  RouteParts parts{.table = header_of<rtmsg>(message).rtm_table};
  each_attribute<rtmsg>(message, [&parts](unsigned type, Bytes bytes) {
    if (type == RTA_TABLE) parts.table = value_of<std::uint32_t>(bytes);
    if (type == RTA_OIF) parts.index = value_of<int>(bytes);
    if (type == RTA_DST) parts.destination = ip_of(bytes);
    if (type == RTA_GATEWAY || type == RTA_VIA) parts.gateway = gateway_of(type, bytes);
    if (type == RTA_MULTIPATH) parts.hops = bytes;
  });
  return parts;
}

/// The ways of a route that has several.
std::vector<RouteAnswer> read_hops(const IpPrefix& destination, Bytes bytes) {
  std::vector<RouteAnswer> ways;
  while (bytes.size() >= sizeof(rtnexthop)) {
    const auto hop = value_of<rtnexthop>(bytes);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > bytes.size()) break;
    RouteAnswer way{.index = hop.rtnh_ifindex, .route = {.destination = destination}};
    way.route.on_link = (hop.rtnh_flags & RTNH_F_ONLINK) != 0;
    const auto pass = [](const nlattr* attribute, void* gateway) {
      const unsigned type = mnl().attr_get_type(attribute);
      if (type != RTA_GATEWAY && type != RTA_VIA) return MNL_CB_OK;
      *static_cast<std::optional<IpAddress>*>(gateway) = gateway_of(type, bytes_of(attribute));
      return MNL_CB_OK;
    };
    mnl().attr_parse_payload(bytes.data() + sizeof hop, hop.rtnh_len - sizeof hop, pass,
                             &way.route.gateway);
    ways.push_back(way);
    bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), RTNH_ALIGN(hop.rtnh_len)));
  }
  return ways;
}

}  // namespace

LinkAnswer read_link(const nlmsghdr* message) {
  const auto header = header_of<ifinfomsg>(message);
  LinkAnswer link{.index = header.ifi_index, .flags = header.ifi_flags};
  each_attribute<ifinfomsg>(message, [&link](unsigned type, Bytes bytes) {
    if (type == IFLA_IFNAME) link.name = reinterpret_cast<const char*>(bytes.data());
    if (type == IFLA_MTU) link.mtu = value_of<std::uint32_t>(bytes);
    if (type == IFLA_ADDRESS) link.mac = mac_of(bytes);
    if (type == IFLA_STATS64) link.statistics = statistics_of(bytes);
  });
  return link;
}

std::optional<AddressAnswer> read_address(const nlmsghdr* message) {
  const auto header = header_of<ifaddrmsg>(message);
  // IFA_ADDRESS is the other end's where there is one, and IFA_LOCAL the host's own.
  std::optional<IpAddress> local;
  std::optional<IpAddress> address;
  each_attribute<ifaddrmsg>(message, [&](unsigned type, Bytes bytes) {
    if (type == IFA_LOCAL) local = ip_of(bytes);
    if (type == IFA_ADDRESS) address = ip_of(bytes);
  });
  if (local) address = local;
  if (!address) return std::nullopt;
  return AddressAnswer{.index = static_cast<int>(header.ifa_index),
                       .address = {.address = *address, .length = header.ifa_prefixlen}};
}

std::vector<RouteAnswer> read_route(const nlmsghdr* message) {
  const auto header = header_of<rtmsg>(message);
  const bool known = header.rtm_family == AF_INET || header.rtm_family == AF_INET6;
  const RouteParts parts = parts_of(message);
  if (!known || parts.table != RT_TABLE_MAIN) return {};

  constexpr std::uint8_t kZero[16] = {};
  const Bytes zero(kZero, header.rtm_family == AF_INET ? 4 : 16);
  const IpPrefix destination{.address = parts.destination.value_or(*ip_of(zero)),
                             .length = header.rtm_dst_len};
  if (!parts.hops.empty()) return read_hops(destination, parts.hops);
  RouteAnswer way{.index = header.rtm_type == RTN_UNICAST ? parts.index : 0};
  way.route = {.destination = destination,
               .gateway = parts.gateway,
               .on_link = (header.rtm_flags & RTNH_F_ONLINK) != 0};
  return {way};
}

}  // namespace sbx::detail
