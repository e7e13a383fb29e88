// SPDX-License-Identifier: Apache-2.0
//
// Ways of a hostile tenant's to where he may not come: to the host's services, through tunnels, by
// what a header asks for, and along with what is allowed.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <system_error>
#include <vector>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "support/require.hpp"

using sbx::Network;
using sbx::PublishedPort;
using sbx::Sandbox;
using namespace sbx::test;

namespace {

/// Every address that the host has.
const Addresses kHostAddresses = {Hosts::kHost4, Hosts::kHostInner4, kGateway4,
                                  Hosts::kHost6, Hosts::kHostInner6, kGateway6};

}  // namespace

TEST_CASE("the host's loopback is out of reach while ports are published") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    Network network = field.hosts.network(mode, "third");
    network.publish = {PublishedPort::parse("127.0.0.1:8080:80")};
    const Sandbox third = field.hosts.start(network, "sleep 1d");
    Tap service(field.hosts.host, "127.0.0.1", 5300);
    Tap stub(field.hosts.host, "127.0.0.53", 53);
    Tap service6(field.hosts.host, "::1", 5300);

    for (const char* to : {"127.0.0.1", "127.0.0.53", "127.255.255.255"}) {
      for (const std::uint16_t port : {5300, 53, 8080, 7777}) {
        attacker.send(udp(attacker.ipv4(), to, port, "forged"));
        attacker.send(udp("127.0.0.1", to, port, "forged"));
        attacker.send(tcp(attacker.ipv4(), to, 4000, port, kSyn, "forged"));
      }
    }
    attacker.send(udp(attacker.ipv6(), "::1", 5300, "forged"));
    attacker.send(udp(attacker.ipv6(), "::ffff:127.0.0.1", 5300, "forged"));
    attacker.send(udp("::1", "::1", 5300, "forged"));
    attacker.send(udp("127.0.0.1", Hosts::kHost4, 7777, "forged"));
    field.settle();
    say(field.hosts.host, "127.0.0.1", 5300, "from the host");
    say(field.hosts.host, "127.0.0.53", 53, "from the host");
    say(field.hosts.host, "::1", 5300, "from the host");

    CHECK(service.wait_for("from the host"));
    CHECK(stub.wait_for("from the host"));
    CHECK(service6.wait_for("from the host"));
    CHECK(service.heard("forged") + stub.heard("forged") + service6.heard("forged") == 0);
    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("the host's services are out of reach by every address that it has") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    Network network = field.hosts.network(mode, "third");
    network.publish = {PublishedPort::parse("127.0.0.1:8080:80")};
    const Sandbox third = field.hosts.start(network, "sleep 1d");
    const Listener inside(namespace_of(third), "0.0.0.0", 80);
    const Listener tcp4(field.hosts.host, "0.0.0.0", 22);
    const Listener tcp6(field.hosts.host, "::", 22);
    Tap udp4(field.hosts.host, "0.0.0.0", 5300);
    Tap udp6(field.hosts.host, "::", 5300);

    for (const std::string& to : kHostAddresses) {
      CAPTURE(to);
      const std::string& from = is_ipv4(to) ? field.attacker.ipv4() : field.attacker.ipv6();
      field.attacker.send(udp(from, to, 5300, "forged"));
      CHECK_FALSE(connected(field.attacker.where(), to, 22, SOCK_STREAM));
      CHECK_FALSE(connected(field.attacker.where(), to, 8080, SOCK_STREAM));
    }
    field.settle();
    say(field.hosts.internet, Hosts::kHost4, 5300, "from outside");
    say(field.hosts.internet, Hosts::kHost6, 5300, "from outside");

    CHECK(udp4.wait_for("from outside"));
    CHECK(udp6.wait_for("from outside"));
    CHECK(udp4.heard("forged") + udp6.heard("forged") == 0);
    CHECK(connected(field.hosts.internet, Hosts::kHost4, 22, SOCK_STREAM));
    CHECK(connected(field.hosts.internet, Hosts::kHost6, 22, SOCK_STREAM));
    CHECK(connected(field.hosts.host, "127.0.0.1", 8080, SOCK_STREAM));
  }
}

TEST_CASE("what is made inside the tenant's namespace leads nowhere else") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    const std::string victim4 = field.victim.ipv4();
    const auto try_all = [&] {
      for (const std::string& to : Addresses{Hosts::kInner4, victim4, Hosts::kHostInner4,
                                             Hosts::kInner6, field.victim.ipv6()}) {
        try {
          say(attacker.where(), to, 9, "forged");
        } catch (const std::system_error&) {
          // No way there at all.
        }
      }
    };

    run_ip(attacker.where(), "address add " + victim4 + "/32 dev eth0");
    run_ip(attacker.where(), "route replace default via 10.213.0.1 dev eth0 onlink src " + victim4);
    try_all();
    run_ip(attacker.where(), "route replace default via 10.213.0.1 dev eth0 onlink");
    for (const char* tunnel : {"ipip", "gre", "sit"}) {
      // Not every kernel has each of them; the frames below are composed anyway.
      const std::string make = std::string("link add t0 type ") + tunnel + " local " +
                               attacker.ipv4() + " remote " + Hosts::kHost4 +
                               " && ip link set t0 up";
      run_ip(attacker.where(),
             make + " && ip route add 10.9.8.0/24 dev t0; ip link del t0 || true");
    }
    for (const std::string& outer : Addresses{kGateway4, Hosts::kHost4, victim4}) {
      const Bytes packet = udp(attacker.ipv4(), Hosts::kInner4, 9, "forged");
      const Bytes packet6 = udp(attacker.ipv6(), Hosts::kInner6, 9, "forged");
      attacker.send(ip(attacker.ipv4(), outer, IPPROTO_IPIP, packet));
      attacker.send(ip(attacker.ipv4(), outer, IPPROTO_IPV6, packet6));
      attacker.send(ip(attacker.ipv4(), outer, IPPROTO_GRE, Bytes("\0\0\x08\0", 4) + packet));
    }
    run_ip(attacker.where(), "link add link eth0 name mac0 type macvlan mode bridge || true");
    run_ip(attacker.where(), "link set eth0 down && ip link set eth0 address " +
                                 field.victim.mac().to_string() +
                                 " && ip link set eth0 up && ip "
                                 "route replace default via 10.213.0.1 dev eth0 onlink && ip "
                                 "neighbour replace 10.213.0.1 dev eth0 lladdr " +
                                 kGatewayMac.to_string());
    try_all();
    run_ip(attacker.where(),
           "link set eth0 address " + attacker.mac().to_string() + " && ip link set eth0 up");
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("options and times to live lead no packet elsewhere") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    show_no_frames_to_ip(field.hosts.host);
    const Attacker& attacker = field.attacker;
    // As hosts have it whose operators look for ways through their networks.
    set(field.hosts.host, "ipv4/conf/all/accept_source_route", "1");
    for (const char* target : {Hosts::kInner4, Hosts::kInternet4}) {
      for (const char* kind : {"\x83\x07\x04", "\x89\x07\x04"}) {  // loose, and strict
        const IpFields routed{.options = kind + address_bytes(target) + Bytes(1, '\0')};
        for (const char* to : {kGateway4, Hosts::kHost4, Hosts::kInternet4}) {
          attacker.send(udp(attacker.ipv4(), to, 9, "forged", routed));
        }
      }
    }
    for (const std::uint8_t ttl : {0, 1}) {
      attacker.send(udp(attacker.ipv4(), Hosts::kInternet4, 9, "forged", {.ttl = ttl}));
      attacker.send(udp(attacker.ipv6(), Hosts::kInternet6, 9, "forged", {.ttl = ttl}));
    }
    // Another sandbox as the router, and the attacker as that of the host.
    attacker.send(udp(attacker.ipv4(), Hosts::kInternet4, 9, "forged"), attacker.mac(),
                  field.victim.mac());
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("through the host's address another sandbox is reached at its published ports alone") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    show_no_frames_to_ip(field.hosts.host);
    const Listener published(field.victim.where(), "0.0.0.0", 7777);
    const Listener private_one(field.victim.where(), "0.0.0.0", 7778);
    const Listener published6(field.victim.where(), "::", 7777);
    const auto reaches = [&](const std::string& to, std::uint16_t port) {
      return bool(connected(field.attacker.where(), to, port, SOCK_STREAM));
    };

    CHECK(reaches(Hosts::kHost4, 7777));
    CHECK(reaches(Hosts::kHost6, 7777));
    CHECK_FALSE(reaches(Hosts::kHost4, 7778));
    CHECK_FALSE(reaches(field.victim.ipv4(), 7777));
    CHECK_FALSE(reaches(field.victim.ipv4(), 7778));
    CHECK_FALSE(reaches(field.victim.ipv6(), 7777));
    // A way that is open for one port does not open the others.
    field.attacker.send(
        tcp(field.attacker.ipv4(), field.victim.ipv4(), 4000, 7777, kAck, "forged"));
    field.settle();
    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("what the kernel keeps no track of goes nowhere") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    for (const int type : {130, 131, 132, 133, 134, 135, 136, 137, 143}) {
      for (const std::string& to :
           Addresses{Hosts::kInternet6, Hosts::kHost6, Hosts::kInner6, field.victim.ipv6()}) {
        attacker.send(
            icmp(attacker.ipv6(), to, static_cast<std::uint8_t>(type), 0, "\1\1\1\1forged"));
      }
    }
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}
