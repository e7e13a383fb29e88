// SPDX-License-Identifier: Apache-2.0
//
// Ports of the host that lead inside.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "sbx/error.hpp"
#include "support/require.hpp"

using sbx::Network;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::SystemError;
using sbx::test::address_of;
using sbx::test::can_connect;
using sbx::test::Hosts;
using sbx::test::kModes;
using sbx::test::Listener;
using sbx::test::namespace_of;
using sbx::test::run_ip;
using sbx::test::set;
using enum sbx::Network::Mode;

namespace {

/// Listens on port 80 of both families, from inside the sandbox's network.
struct Service {
  explicit Service(const Sandbox& sandbox)
      : v4(namespace_of(sandbox), "0.0.0.0", 80), v6(namespace_of(sandbox), "::", 80) {}

  Listener v4;
  Listener v6;
};

Network publishing(const Hosts& hosts, Network::Mode mode, const char* port) {
  Network network = hosts.network(mode);
  network.publish = {PublishedPort::parse(port)};
  return network;
}

}  // namespace

TEST_CASE("a published port is reached from outside and from the host, over both families") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  // Where bridges show their packets to IP's hooks, an answer to ::1 is dropped: docs/network.md.
  set(hosts.host, "bridge/bridge-nf-call-ip6tables", "0");

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Sandbox sandbox = hosts.start(publishing(hosts, mode, "8080:80"), "sleep 1d");
    const Service service(sandbox);

    CHECK(can_connect(hosts.internet, Hosts::kHost4, 8080));
    CHECK(service.v4.wait_for_visitor() == Hosts::kRouter4);
    CHECK(can_connect(hosts.internet, Hosts::kHost6, 8080));
    CHECK(service.v6.wait_for_visitor() == Hosts::kRouter6);
    CHECK(can_connect(hosts.host, Hosts::kHost4, 8080));
    CHECK(can_connect(hosts.host, "127.0.0.1", 8080));
    CHECK(can_connect(hosts.host, Hosts::kHost6, 8080));
    CHECK(can_connect(hosts.host, "::1", 8080));
  }
}

TEST_CASE("what a router announces of a sandbox's address leads nobody away from it") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    const Sandbox sandbox = hosts.start(publishing(hosts, mode, "8080:80"), "sleep 1d");
    const Service service(sandbox);
    const std::string announced = address_of(sandbox, sbx::IpFamily::kIpv6) + "/128 dev up0";
    run_ip(hosts.host, "-6 route add " + announced + " metric 256 proto ra");

    CHECK(can_connect(hosts.host, Hosts::kHost6, 8080));
    CHECK(can_connect(hosts.internet, Hosts::kHost6, 8080));
  }
}

TEST_CASE("a port that is published on one address is not there on others") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox sandbox = hosts.start(publishing(hosts, kRouted, "127.0.0.1:8080:80"), "sleep 1d");
  const Service service(sandbox);

  CHECK(can_connect(hosts.host, "127.0.0.1", 8080));
  CHECK_FALSE(can_connect(hosts.host, Hosts::kHost4, 8080));
  CHECK_FALSE(can_connect(hosts.internet, Hosts::kHost4, 8080));
  CHECK_FALSE(can_connect(hosts.host, "::1", 8080));
}

TEST_CASE("what is not published is out of reach from outside") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox sandbox = hosts.start(publishing(hosts, kRouted, "8080:81"), "sleep 1d");
  const Service service(sandbox);

  CHECK_FALSE(can_connect(hosts.internet, Hosts::kHost4, 8080));
  CHECK_FALSE(can_connect(hosts.internet, Hosts::kHost4, 80));
  CHECK(service.v4.visitor().empty());
}

TEST_CASE("a port that somebody has is refused, and nothing is left") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();

  {
    const Listener taken(hosts.host, "0.0.0.0", 8080);
    CHECK_THROWS_WITH_AS(
        hosts.start(publishing(hosts, kRouted, "8080:80"), "true"),
        "cannot publish '8080:80': Address already in use; a program of the host's has the port",
        SystemError);
    CHECK(hosts.comes_to(before));
  }
  Network first = publishing(hosts, kRouted, "8080:80");
  first.name = "first";
  {
    const Sandbox sandbox = hosts.start(first, "sleep 1d");
    CHECK_THROWS_WITH_AS(
        hosts.start(publishing(hosts, kBridge, "8080:81"), "true"),
        "cannot publish '8080:81': Address already in use; the sandbox 'first' has '8080:80'",
        SystemError);
  }
  CHECK(hosts.comes_to(before));
}

TEST_CASE("ports that make no sense are refused") {
  for (const char* text : {"", "80", ":80", "80:", "0:80", "80:0", "65536:80", "80:65536", "a:b",
                           "1.2.3:80:80", "::1:80:80", "[::1]80:80", "[::1:80:80", "80:80/sctp",
                           "80:80:80:80", " 80:80", "+80:80", "[127.0.0.1]:1.2.3.4:80:80"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(PublishedPort::parse(text), std::invalid_argument);
  }
  CHECK(PublishedPort::parse("[::1]:8080:80/udp").to_string() == "[::1]:8080:80/udp");
  CHECK(PublishedPort::parse("127.0.0.1:8080:80").to_string() == "127.0.0.1:8080:80");
}
