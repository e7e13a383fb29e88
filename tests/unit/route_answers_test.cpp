// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/route_answers.hpp"

#include <doctest/doctest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel/netlink/mnl.hpp"

using sbx::IpAddress;
using sbx::IpPrefix;
using sbx::detail::mnl;
using sbx::detail::read_route;

namespace {

/// What the kernel tells of a route to 10.0.0.0/8.
struct RouteMessage {
  alignas(NLMSG_ALIGNTO) std::array<char, 256> buffer{};
  nlmsghdr* header = mnl().nlmsg_put_header(buffer.data());
  rtmsg* route = static_cast<rtmsg*>(mnl().nlmsg_put_extra_header(header, sizeof(rtmsg)));

  RouteMessage() {
    route->rtm_family = AF_INET;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_type = RTN_UNICAST;
    route->rtm_dst_len = 8;
    put(RTA_DST, {10, 0, 0, 0});
  }

  void put(std::uint16_t type, const std::vector<std::uint8_t>& bytes) {
    mnl().attr_put(header, type, bytes.size(), bytes.data());
  }

  /// A hop by way of 192.0.2.N through the link N.
  static void add_hop(std::vector<std::uint8_t>& hops, std::uint8_t number, std::uint8_t flags) {
    hops.insert(hops.end(), {16, 0, flags, 0, number, 0, 0, 0});
    hops.insert(hops.end(), {8, 0, RTA_GATEWAY, 0, 192, 0, 2, number});
  }
};

}  // namespace

TEST_CASE("a route of several hops is one way for each") {
  RouteMessage message;
  std::vector<std::uint8_t> hops;
  RouteMessage::add_hop(hops, 3, 0);
  RouteMessage::add_hop(hops, 4, RTNH_F_ONLINK);
  message.put(RTA_MULTIPATH, hops);

  const auto ways = read_route(message.header);

  REQUIRE(ways.size() == 2);
  CHECK(ways[0].index == 3);
  CHECK(ways[0].route == sbx::Route{IpPrefix::parse("10.0.0.0/8"), IpAddress::parse("192.0.2.3")});
  CHECK(ways[1].index == 4);
  CHECK(ways[1].route ==
        sbx::Route{IpPrefix::parse("10.0.0.0/8"), IpAddress::parse("192.0.2.4"), true});
}

TEST_CASE("hops that are cut off are no way") {
  RouteMessage message;
  std::vector<std::uint8_t> hops;
  RouteMessage::add_hop(hops, 3, 0);
  hops.pop_back();
  message.put(RTA_MULTIPATH, hops);

  CHECK(read_route(message.header).empty());
}

TEST_CASE("the gateway of an IPv4 route can have an IPv6 address") {
  RouteMessage message;
  message.put(RTA_OIF, {7, 0, 0, 0});
  message.put(RTA_VIA, {AF_INET6, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});

  const auto ways = read_route(message.header);

  REQUIRE(ways.size() == 1);
  CHECK(ways[0].index == 7);
  CHECK(ways[0].route.gateway == IpAddress::parse("fe80::1"));
}

TEST_CASE("a route that refuses leads through no link, and has its destination") {
  RouteMessage message;
  message.route->rtm_type = RTN_UNREACHABLE;
  message.put(RTA_OIF, {1, 0, 0, 0});

  const auto ways = read_route(message.header);

  REQUIRE(ways.size() == 1);
  CHECK(ways[0].index == 0);
  CHECK(ways[0].route.destination == IpPrefix::parse("10.0.0.0/8"));
}

TEST_CASE("routes of other tables are passed over") {
  RouteMessage message;
  message.put(RTA_TABLE, {0, 1, 0, 0});

  CHECK(read_route(message.header).empty());
}
