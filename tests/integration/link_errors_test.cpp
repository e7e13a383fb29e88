// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "integration/links.hpp"
#include "support/child.hpp"
#include "support/ordinary_user.hpp"
#include "support/require.hpp"

using sbx::Link;
using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::Route;
using sbx::Rtnetlink;
using sbx::SystemError;
using sbx::test::block;
using sbx::test::errno_of;
using sbx::test::in_child;
using sbx::test::ip;
using sbx::test::Names;
using sbx::test::Network;
using sbx::test::Pair;

namespace {

constexpr uid_t kUser = 4242;

}  // namespace

TEST_CASE("a name that no link can have is refused before anything is sent") {
  SBX_REQUIRE_ROOT();
  Network one;
  const auto make = [&one](const std::string& name) { one.links.create_bridge(name); };

  CHECK_THROWS_WITH_AS(make("a b"),
                       "cannot name a link 'a b': a name has 1 to 15 bytes, none of them a blank "
                       "or one of '/:%'",
                       std::invalid_argument);
  CHECK_THROWS_AS(make(""), std::invalid_argument);
  CHECK_THROWS_AS(make("0123456789abcdef"), std::invalid_argument);
  CHECK_THROWS_AS(make("a/b"), std::invalid_argument);
  CHECK_THROWS_AS(make("a:b"), std::invalid_argument);
  CHECK_THROWS_AS(make("a%d"), std::invalid_argument);
  CHECK_THROWS_AS(make("a\tb"), std::invalid_argument);
  CHECK_THROWS_AS(make(".."), std::invalid_argument);
  CHECK_THROWS_AS(make(std::string("a\0b", 3)), std::invalid_argument);
  CHECK_THROWS_AS(one.links.create({.name = "a", .peer_name = ""}), std::invalid_argument);
  CHECK_NOTHROW(make("0123456789abcde"));
  CHECK(one.links.names() == Names{"lo"});
}

TEST_CASE("a link whose name is taken is not made, and the one that has it is left alone") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;
  const Link bridge = one.links.create_bridge("taken");

  CHECK_THROWS_WITH_AS(one.links.create_bridge("taken"),
                       "cannot create the bridge 'taken': File exists", SystemError);
  CHECK_THROWS_WITH_AS(one.links.create({.name = "taken", .peer_name = "peer"}),
                       "cannot create the veth pair 'taken' and 'peer': File exists", SystemError);
  CHECK_THROWS_WITH_AS(
      two.links.create({.name = "new", .peer_name = "taken", .peer_namespace = &one.space}),
      "cannot create the veth pair 'new' and 'taken': File exists", SystemError);

  CHECK(one.links.names() == Names{"lo", "taken"});
  CHECK(two.links.names() == Names{"lo"});
}

TEST_CASE("the kernel's own words are in the message") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Link& link = pair.outer;

  CHECK_THROWS_WITH_AS(
      link.add_route({block("0.0.0.0/0"), ip("192.0.2.1"), false}),
      "cannot add the route to '0.0.0.0/0' by '192.0.2.1' through 'outer': Network "
      "is unreachable; Nexthop has invalid gateway",
      SystemError);
  CHECK_THROWS_WITH_AS(link.add_route({block("10.1.2.3/8"), {}, false}),
                       "cannot add the route to '10.1.2.3/8' through 'outer': Invalid argument; "
                       "Invalid prefix for given prefix length",
                       SystemError);
  CHECK_THROWS_WITH_AS(link.set_mtu(20),
                       "cannot set the MTU of 'outer' to 20: Invalid argument; mtu less than "
                       "device minimum",
                       SystemError);
  CHECK(link.mtu() == 1500);
}

TEST_CASE("what is there already, or is not there, is told by errno") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Link& link = pair.outer;
  const Route route{block("192.0.2.0/24"), ip("10.0.0.2"), false};
  link.add_route(route);

  CHECK(errno_of([&] { link.add_address(block("10.0.0.1/24")); }) == EEXIST);
  CHECK(errno_of([&] { link.remove_address(block("10.0.0.9/24")); }) == EADDRNOTAVAIL);
  CHECK(errno_of([&] { link.add_route(route); }) == EEXIST);
  CHECK(errno_of([&] { link.remove_route({block("198.51.100.0/24"), {}, false}); }) == ESRCH);
  CHECK(errno_of([&] { link.join(pair.one.links.open("lo")); }) == EOPNOTSUPP);
  CHECK_THROWS_WITH_AS(link.add_route({block("fd00::/64"), ip("10.0.0.2"), false}),
                       "'10.0.0.2' cannot be a gateway to 'fd00::/64': one is an IPv4 address, one "
                       "IPv6",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(link.add_address({.address = ip("10.0.0.1"), .length = 33}),
                       "'10.0.0.1/33' is no block of addresses: its length is a number from 0 to "
                       "32",
                       std::invalid_argument);
}

TEST_CASE("a link that is gone is no longer to be changed") {
  SBX_REQUIRE_ROOT();
  Network one;
  Link bridge = one.links.create_bridge("bridge");
  one.links.open("bridge").remove();

  CHECK_THROWS_WITH_AS(bridge.set_up(), "cannot set 'bridge' up: No such device", SystemError);
  CHECK_THROWS_WITH_AS((void)bridge.mtu(), "cannot read the link 'bridge': No such device",
                       SystemError);
  CHECK_THROWS_WITH_AS(bridge.remove(), "cannot remove the link 'bridge': No such device",
                       SystemError);
  CHECK(errno_of([&] { bridge.add_address(block("10.0.0.1/8")); }) == ENODEV);
  CHECK(errno_of([&] { bridge.limit_rate(1000); }) == ENODEV);
}

TEST_CASE("an ordinary user can look at links, but not change them") {
  SBX_REQUIRE_ROOT();
  const auto as_user = [](const auto& body) {
    return in_child([&body]() -> std::string {
      Namespace::create(NamespaceKind::kNet).enter();
      sbx::test::become_user(kUser);
      Rtnetlink links;
      return body(links);
    });
  };

  CHECK(as_user([](Rtnetlink& links) { return links.names().at(0); }) == "lo");
  CHECK(as_user([](Rtnetlink& links) { return links.create_bridge("bridge").name(); }) ==
        "cannot create the bridge 'bridge': Operation not permitted");
  CHECK(as_user([](Rtnetlink& links) {
          links.open("lo").set_up();
          return std::string("up");
        }) == "cannot set 'lo' up: Operation not permitted");
}
