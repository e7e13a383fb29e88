// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "integration/links.hpp"
#include "sbx/error.hpp"
#include "support/datagram.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using sbx::Link;
using sbx::Route;
using sbx::SystemError;
using sbx::test::block;
using sbx::test::Datagrams;
using sbx::test::errno_of;
using sbx::test::ip;
using sbx::test::mac;
using sbx::test::Network;
using sbx::test::Pair;

TEST_CASE("a neighbour need not be asked for his Ethernet address") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;
  Link outer = one.links.create({.name = "outer",
                                 .mac = mac(1),
                                 .peer_name = "inner",
                                 .peer_namespace = &two.space,
                                 .arp = false});
  Link inner = two.links.open("inner");
  outer.add_address(block("10.0.0.1/24"));
  inner.add_address(block("10.0.0.2/24"));
  outer.set_up();
  inner.set_up();
  Datagrams here(one.space, IpFamily::kIpv4);
  Datagrams there(two.space, IpFamily::kIpv4);

  inner.add_neighbour(ip("10.0.0.1"), mac(1));
  CHECK(there.reaches(here, "ping", "10.0.0.1"));

  CHECK_THROWS_WITH_AS(inner.add_neighbour(ip("10.0.0.1"), mac(3)),
                       "cannot add the neighbour '10.0.0.1' of 'inner': File exists", SystemError);
  inner.remove_neighbour(ip("10.0.0.1"));
  CHECK(errno_of([&] { inner.remove_neighbour(ip("10.0.0.1")); }) == ENOENT);
}

TEST_CASE("a route leads through a gateway that no address of the link is beside") {
  SBX_REQUIRE_ROOT();
  Pair pair("169.254.1.1/32", "10.0.0.2/32");
  const Route gateway{block("0.0.0.0/0"), ip("169.254.1.1"), true};
  const Route back{block("10.0.0.2/32"), {}, false};
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);
  pair.outer.add_address(block("203.0.113.7/32"));
  CHECK(there.send("lost", "203.0.113.7") == ENETUNREACH);

  pair.outer.add_route(back);
  pair.inner.add_route(gateway);
  CHECK(there.reaches(here, "ping", "203.0.113.7"));
  CHECK(here.reaches(there, "pong", "10.0.0.2"));
  CHECK(pair.outer.routes() == std::vector{back});
  CHECK(pair.inner.routes() == std::vector{gateway});

  pair.inner.remove_route(gateway);
  CHECK(pair.inner.routes().empty());
  CHECK(there.send("lost", "203.0.113.7") == ENETUNREACH);
}

TEST_CASE("an IPv6 route leads through a gateway") {
  SBX_REQUIRE_ROOT();
  Pair pair("fd00::1/64", "fd00::2/64");
  const Route gateway{block("::/0"), ip("fd00::1"), false};

  pair.inner.add_route(gateway);

  CHECK(pair.inner.routes() == std::vector{Route{block("fd00::/64"), {}, false}, gateway});
  pair.inner.remove_route(gateway);
  CHECK(pair.inner.routes() == std::vector{Route{block("fd00::/64"), {}, false}});

  pair.inner.remove_route(pair.inner.routes().at(0));  // the kernel's own
  CHECK(pair.inner.routes().empty());
}

TEST_CASE("the destinations are those of all links, each once, without the default") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.1.2.3/8", "10.0.0.2/8");
  Link other = pair.one.links.create({.name = "a", .peer_name = "b", .link_local = false});
  other.set_up();
  pair.outer.add_route({.destination = block("0.0.0.0/0"), .gateway = ip("10.0.0.2")});
  pair.outer.add_address(block("fd00::1/64"));
  other.add_address(block("192.0.2.1/24"));
  other.add_address(block("fd00::2/64"));

  CHECK(pair.one.links.destinations() ==
        std::vector{block("10.0.0.0/8"), block("192.0.2.0/24"), block("fd00::/64")});
}
