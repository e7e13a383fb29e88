// SPDX-License-Identifier: Apache-2.0
#include "sbx/network.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "launch/network/address_book.hpp"
#include "launch/network/tenant.hpp"
#include "launch/network/tenant_json.hpp"

using sbx::Destination;
using sbx::IpPrefix;
using sbx::Network;
using sbx::PublishedPort;
using sbx::detail::Pools;
using sbx::detail::Tenant;
using sbx::detail::TenantAddresses;

namespace {

const Pools kPools{IpPrefix::parse("10.213.0.0/16"), IpPrefix::parse("fd13::/64")};

}  // namespace

TEST_CASE("destinations are read as they are written") {
  for (const char* text : {"10.0.0.0/8", "10.0.0.5/32:5432", "fd00::/8", "[fd00::7/128]:53"}) {
    CHECK(Destination::parse(text).to_string() == text);
  }
  CHECK(Destination::parse("10.0.0.5").to_string() == "10.0.0.5/32");
  CHECK(Destination::parse("10.1.2.3/8").to_string() == "10.0.0.0/8");
  CHECK(Destination::parse("fd00::7").block.length == 128);
}

TEST_CASE("destinations that make no sense are refused") {
  for (const char* text :
       {"", ":53", "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "[fd00::/8]53", "[fd00::/8",
        "fd00::/8:53x", "all", "10.0.0.0/8:53:54"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Destination::parse(text), std::invalid_argument);
  }
}

TEST_CASE("all of a tenant's names and addresses follow from its slot") {
  Tenant tenant{.slot = 1823, .network = {}, .released = {}};
  tenant.network.mode = Network::Mode::kRouted;
  const auto names = sbx::detail::names_of(sbx::HostNetwork{});
  const TenantAddresses routed(names, kPools, tenant);
  tenant.network.mode = Network::Mode::kBridge;
  const TenantAddresses bridged(names, kPools, tenant);

  CHECK(routed.ipv4.to_string() == "10.213.7.31");
  CHECK(routed.ipv6.to_string() == "fd13::71f");
  CHECK(routed.mac.to_string() == "02:73:62:00:07:1f");
  CHECK(routed.link == "sbx-1823");
  CHECK(routed.entry == "sbx-1823");
  CHECK(bridged.link == "sbx-1823");
  CHECK(bridged.entry == "sbx-bridge");
}

TEST_CASE("another run directory has other names, which fit into those of links") {
  const auto names =
      sbx::detail::names_of({.run_directory = "/srv/run", .state_directory = "/srv"});
  const auto standard = sbx::detail::names_of({.run_directory = "/run/../run/sandbox"});

  CHECK(standard.table == "sandbox");
  CHECK(names.table.starts_with("sandbox-"));
  CHECK(names.bridge.size() <= 15);
  CHECK(names.group != standard.group);
  CHECK((names.prefix + std::to_string(sbx::detail::kLastSlot)).size() <= 15);
}

TEST_CASE("the last slot has an address in both pools") {
  CHECK(sbx::detail::last_slot(kPools) == 65534);
  CHECK(sbx::detail::last_slot({IpPrefix::parse("10.0.0.0/24"), kPools.ipv6}) == 254);
  CHECK(sbx::detail::last_slot({IpPrefix::parse("10.0.0.0/8"), kPools.ipv6}) ==
        sbx::detail::kLastSlot);
}

TEST_CASE("all that was counted adds up") {
  const sbx::NetworkUsage one{.internet4 = {{1, 2}, {3, 4}},
                              .internet6 = {{5, 6}, {7, 8}},
                              .published4 = {{9, 10}, {11, 12}},
                              .published6 = {{13, 14}, {15, 16}},
                              .forged_packets = 17};
  const sbx::NetworkUsage twice{.internet4 = {{2, 4}, {6, 8}},
                                .internet6 = {{10, 12}, {14, 16}},
                                .published4 = {{18, 20}, {22, 24}},
                                .published6 = {{26, 28}, {30, 32}},
                                .forged_packets = 34};

  CHECK(sbx::detail::add(one, one) == twice);
  CHECK(one.total() == sbx::TrafficCount{{28, 32}, {36, 40}});
}

TEST_CASE("a tenant is read from the book as it was written") {
  Tenant tenant{.slot = 7,
                .network = {},
                .released = {{.pid = 42, .pid_namespace = 1, .net_namespace = 4026531840}}};
  tenant.network.mode = Network::Mode::kBridge;
  tenant.network.name = "alice";
  tenant.network.internet = false;
  tenant.network.allow = {Destination::parse("[fd00::/8]:53")};
  tenant.network.publish = {PublishedPort::parse("[::1]:8080:80/udp")};
  tenant.network.rate_bits_per_second = 1000;

  const std::string text = sbx::detail::to_json(tenant);
  const Tenant read = sbx::detail::tenant_from_json(text);

  CHECK(sbx::detail::to_json(read) == text);
  CHECK(read.network.allow == tenant.network.allow);
  CHECK(read.network.publish == tenant.network.publish);
  CHECK_THROWS(sbx::detail::tenant_from_json("{}"));
  CHECK_THROWS(sbx::detail::tenant_from_json(text.substr(1)));
}
