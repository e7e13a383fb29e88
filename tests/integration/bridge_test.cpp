// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>

#include <string>

#include "integration/links.hpp"
#include "support/datagram.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using sbx::Link;
using sbx::test::block;
using sbx::test::Datagrams;
using sbx::test::ip;
using sbx::test::mac;
using sbx::test::Network;

namespace {

/// A namespace at a port of a bridge, with the address 10.0.0.N.
struct Member {
  Network network{};
  Link port;
  Link inner;
  Datagrams socket;

  Member(Network& hub, const Link& bridge, int number, const sbx::BridgePort& as)
      : port(hub.links.create({.name = "port" + std::to_string(number),
                               .peer_name = "eth0",
                               .peer_mac = mac(number),
                               .peer_namespace = &network.space})),
        inner(network.links.open("eth0")),
        socket(network.space, IpFamily::kIpv4) {
    port.join(bridge, as);
    inner.add_address(block("10.0.0." + std::to_string(number) + "/24"));
    port.set_up();
    inner.set_up();
  }
};

/// Three of them, the third one an ordinary port.
struct Hub {
  Network network{};
  Link bridge = network.links.create_bridge("bridge");
  Member first;
  Member second;
  Member third{network, bridge, 3, {}};

  explicit Hub(const sbx::BridgePort& as)
      : first(network, bridge, 1, as), second(network, bridge, 2, as) {
    bridge.set_up();
  }

  /// Nobody needs to ask for an address, which is not to be what fails.
  void introduce() {
    first.inner.add_neighbour(ip("10.0.0.2"), mac(2));
    first.inner.add_neighbour(ip("10.0.0.3"), mac(3));
    third.inner.add_neighbour(ip("10.0.0.2"), mac(2));
  }
};

}  // namespace

TEST_CASE("no datagram passes between isolated ports of a bridge") {
  SBX_REQUIRE_ROOT();
  Hub hub({.isolated = true});
  hub.introduce();
  CHECK(hub.first.socket.reaches(hub.third.socket, "1 to 3", "10.0.0.3"));
  CHECK(hub.third.socket.reaches(hub.second.socket, "3 to 2", "10.0.0.2"));

  CHECK(hub.first.socket.send("1 to 2", "10.0.0.2") == 0);
  CHECK(hub.first.socket.reaches(hub.third.socket, "afterwards", "10.0.0.3"));
  CHECK(hub.third.socket.reaches(hub.second.socket, "after that", "10.0.0.2"));

  CHECK_FALSE(hub.second.socket.has("1 to 2"));
}

TEST_CASE("a datagram passes between ports of a bridge that are not isolated") {
  SBX_REQUIRE_ROOT();
  Hub hub({});
  hub.introduce();

  CHECK(hub.first.socket.reaches(hub.second.socket, "1 to 2", "10.0.0.2"));
}

TEST_CASE("a port that nothing is flooded to gets no frame for an address that is not known") {
  SBX_REQUIRE_ROOT();
  Hub hub({.learning = false, .flood = false});
  hub.introduce();
  CHECK(hub.first.socket.reaches(hub.third.socket, "1 to 3", "10.0.0.3"));

  CHECK(hub.first.socket.send("1 to 2", "10.0.0.2") == 0);
  CHECK(hub.first.socket.reaches(hub.third.socket, "afterwards", "10.0.0.3"));

  CHECK_FALSE(hub.second.socket.has("1 to 2"));
}
