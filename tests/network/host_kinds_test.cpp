// SPDX-License-Identifier: Apache-2.0
//
// Hosts of other kinds: what they lack, and who else is there.
#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "network/hosts.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using sbx::Namespace;
using sbx::Network;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::test::address_of;
using sbx::test::can_connect;
using sbx::test::Hosts;
using sbx::test::Listener;
using sbx::test::reach;
using enum sbx::Network::Mode;

namespace {

constexpr Network::Mode kModes[] = {kRouted, kBridge};

void set(const Namespace& where, const std::string& setting, const std::string& value) {
  where.run([&] { std::ofstream("/proc/sys/net/" + setting) << value; });
}

std::string get(const Namespace& where, const std::string& setting) {
  return where.run([&] {
    std::string value;
    std::ifstream("/proc/sys/net/" + setting) >> value;
    return value;
  });
}

/// Whether IPv4 works in both directions, in a sandbox that has nothing else.
void check_ipv4_alone(const Hosts& hosts) {
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  for (const auto mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    Network network = hosts.network(mode, "alice");
    network.publish = {PublishedPort::parse("8080:80")};
    const Sandbox sandbox = hosts.start(network, "sleep 1d");
    const Namespace inside = Namespace::of(sandbox.pid(), sbx::NamespaceKind::kNet);
    const Listener service(inside, "0.0.0.0", 80);

    CHECK(address_of(sandbox, IpFamily::kIpv6).empty());
    CHECK(can_connect(inside, Hosts::kInternet4, 80));
    CHECK(internet.wait_for_visitor() == Hosts::kHost4);
    CHECK(can_connect(hosts.internet, Hosts::kHost4, 8080));
    CHECK(can_connect(hosts.host, "127.0.0.1", 8080));
    CHECK(hosts.say(hosts.network(mode), "exec 2>&1; " + reach(Hosts::kInternet4, 80) +
                                             reach(Hosts::kInternet6, 80)) == "reached\nno\n");
  }
}

}  // namespace

TEST_CASE("on a host without IPv6 a sandbox has IPv4 alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  set(hosts.host, "ipv6/conf/all/disable_ipv6", "1");
  const std::string before = hosts.inventory();

  check_ipv4_alone(hosts);

  CHECK(hosts.comes_to(before));
}

TEST_CASE("a host whose new links are without IPv6 is one without") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  set(hosts.host, "ipv6/conf/default/disable_ipv6", "1");
  const std::string before = hosts.inventory();

  check_ipv4_alone(hosts);

  CHECK(hosts.comes_to(before));
}

TEST_CASE("IPv6 may come and go while there are sandboxes") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  if (get(hosts.host, "ipv6/conf/lo/disable_ipv6") != "0") SBX_SKIP("needs IPv6");

  for (const auto mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    const Sandbox first = hosts.start(hosts.network(mode), "sleep 1d");
    set(hosts.host, "ipv6/conf/all/disable_ipv6", "1");
    const Sandbox second = hosts.start(hosts.network(mode), "sleep 1d");
    set(hosts.host, "ipv6/conf/all/disable_ipv6", "0");
    const Sandbox third = hosts.start(hosts.network(mode), "sleep 1d");

    CHECK_FALSE(address_of(first, IpFamily::kIpv6).empty());
    CHECK(address_of(second, IpFamily::kIpv6).empty());
    CHECK_FALSE(address_of(third, IpFamily::kIpv6).empty());
  }
}

TEST_CASE("a sandbox whose namespace is without IPv6 has IPv4 alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  if (get(hosts.host, "ipv6/conf/lo/disable_ipv6") != "1") {
    SBX_SKIP("needs a kernel that was started with ipv6.disable_ipv6=1");
  }
  // As an operator has it who wants IPv6 nevertheless.
  set(hosts.host, "ipv6/conf/all/disable_ipv6", "0");
  const std::string before = hosts.inventory();

  check_ipv4_alone(hosts);

  CHECK(hosts.comes_to(before));
}
