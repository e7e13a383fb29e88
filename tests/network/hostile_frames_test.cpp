// SPDX-License-Identifier: Apache-2.0
//
// Frames of a hostile tenant's that claim to be somebody else's, or that go where nobody may.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::MacAddress;
using sbx::Network;
using namespace sbx::test;
using enum sbx::Network::Mode;

namespace {

constexpr MacAddress kNobody{{0x02, 1, 2, 3, 4, 5}};

/// Where a packet of the family of `from` might be of interest.
Addresses targets(const Battlefield& field, const std::string& from) {
  if (is_ipv4(from)) {
    return {Hosts::kInternet4, Hosts::kInner4, Hosts::kHost4, kGateway4, field.victim.ipv4()};
  }
  return {Hosts::kInternet6, Hosts::kInner6, Hosts::kHost6, kGateway6, field.victim.ipv6()};
}

/// Sends it to all of them; how many that were.
std::uint64_t send_everywhere(const Battlefield& field, const std::string& from,
                              const MacAddress& mac) {
  std::uint64_t sent = 0;
  for (const std::string& target : targets(field, from)) {
    field.attacker.send(udp(from, target, Battlefield::kPublished, "forged"), mac, kGatewayMac);
    ++sent;
  }
  return sent;
}

}  // namespace

TEST_CASE("what has somebody else's addresses goes nowhere, and is counted") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    const std::uint64_t before = field.forged();
    std::uint64_t sent = 0;

    for (const std::string& from : Addresses{
             field.victim.ipv4(), "8.8.8.8", "10.213.99.99", kGateway4, Hosts::kHost4, "127.0.0.1",
             field.victim.ipv6(), "2001:db8::53", "fd13::9999", kGateway6, "fe80::1"}) {
      sent += send_everywhere(field, from, attacker.mac());
      sent += send_everywhere(field, from, field.victim.mac());
    }
    for (const MacAddress& mac : {field.victim.mac(), kNobody, kGatewayMac}) {
      sent += send_everywhere(field, attacker.ipv4(), mac);
      sent += send_everywhere(field, attacker.ipv6(), mac);
    }
    attacker.send(udp(attacker.ipv6(), Hosts::kInternet6, 9, "honest6"));
    attacker.send(udp(attacker.ipv4(), Hosts::kInternet4, 9, "honest4"));
    field.settle();

    CHECK(field.heard("forged") == 0);
    CHECK(field.heard("honest4") == 1);
    CHECK(field.heard("honest6") == 1);
    CHECK(field.forged() - before == sent);
    // IP itself drops what comes from here over a link: before it is counted, if no bridge does.
    send_everywhere(field, "::1", attacker.mac());
    field.settle();
    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("tagged frames and those of unknown kinds go nowhere") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    const Bytes forged = udp(field.victim.ipv4(), Hosts::kInternet4, 9, "forged");
    const Bytes honest = udp(attacker.ipv4(), Hosts::kInner4, 9, "forged");
    const Bytes tagged = udp(attacker.ipv4(), Hosts::kInternet4, 9, "forged");
    const Bytes inner_type("\x08\x00", 2);

    for (const MacAddress& to :
         {kGatewayMac, field.victim.mac(), kEveryone, MacAddress::parse("01:80:c2:00:00:00"),
          MacAddress::parse("01:80:c2:00:00:0e")}) {
      for (const std::uint16_t type : {0x88b5, 0x88cc, 0x8847, 0x8863, 0x8864, 0x0842, 0x0026}) {
        attacker.send_frame(type, "forged", attacker.mac(), to);
        attacker.send_frame(type, forged, attacker.mac(), to);
      }
      attacker.send_frame(kTypeVlan, Bytes("\0\5", 2) + inner_type + tagged, attacker.mac(), to);
      attacker.send_frame(0x88a8, Bytes("\0\5", 2) + inner_type + tagged, attacker.mac(), to);
      for (const Bytes& packet : {forged, honest}) {  // a tag that says no more than a priority
        attacker.send_frame(kTypeVlan, Bytes("\0\0", 2) + inner_type + packet, attacker.mac(), to);
      }
    }
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("ARP of a tenant's changes nothing for others") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const MacAddress& mac = field.attacker.mac();
    const std::string host = routing_of(field.hosts.host);
    const std::string victim = routing_of(field.victim.where());
    REQUIRE(victim.find(kGatewayMac.to_string()) != std::string::npos);

    for (const std::string& claimed :
         Addresses{kGateway4, field.victim.ipv4(), Hosts::kHost4, Hosts::kInner4}) {
      for (const std::string& told : Addresses{claimed, field.victim.ipv4(), kGateway4}) {
        for (const MacAddress& to : {kEveryone, kGatewayMac, field.victim.mac()}) {
          for (const std::uint16_t operation : {1, 2}) {
            const Bytes lie = arp(operation, mac, claimed, to, told);
            field.attacker.send_frame(kTypeArp, lie, mac, to);
          }
        }
      }
    }
    field.settle();
    field.victim.send(udp(field.victim.ipv4(), Hosts::kInternet4, 9, "still here"));

    CHECK(field.internet.wait_for("still here"));
    CHECK(field.inside_victim.heard(mac_bytes(mac) + address_bytes(kGateway4)) == 0);
    CHECK(routing_of(field.hosts.host) == host);
    CHECK(routing_of(field.victim.where()) == victim);
  }
}

namespace {

/// Everything that neighbour discovery can lie with, from `from` to `to`.
std::vector<Bytes> lies(const std::string& from, const std::string& to, const std::string& about,
                        const MacAddress& mac) {
  const IpFields local{.ttl = 255};
  const Bytes target = address_bytes(about);
  const Bytes source_link = Bytes("\1\1", 2) + mac_bytes(mac);
  const Bytes target_link = Bytes("\2\1", 2) + mac_bytes(mac);
  const Bytes prefix =
      Bytes("\3\4\x40\xc0\0\0\xff\xff\0\0\xff\xff\0\0\0\0", 16) + address_bytes("2001:db8:bad::");
  return {
      icmp(from, to, 136, 0, Bytes("\xe0\0\0\0", 4) + target + target_link, local),
      icmp(from, to, 135, 0, Bytes("\0\0\0\0", 4) + target + source_link, local),
      icmp(from, to, 137, 0, Bytes("\0\0\0\0", 4) + target + target + target_link, local),
      icmp(from, to, 134, 0, Bytes("\x40\0\xff\xff\0\0\0\0\0\0\0\0", 12) + source_link + prefix,
           local),
      icmp(from, to, 133, 0, Bytes("\0\0\0\0", 4) + source_link, local),
  };
}

}  // namespace

TEST_CASE("neighbour discovery of a tenant's changes nothing for others") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    const std::string host = routing_of(field.hosts.host);
    const std::string victim = routing_of(field.victim.where());
    REQUIRE(victim.find(kGateway6) != std::string::npos);

    for (const std::string& from :
         Addresses{attacker.ipv6(), field.victim.ipv6(), kGateway6, "fe80::1", "::"}) {
      for (const std::string& to :
           Addresses{"ff02::1", "ff02::2", kGateway6, Hosts::kHost6, field.victim.ipv6()}) {
        for (const std::string& about : Addresses{kGateway6, field.victim.ipv6(), Hosts::kInner6}) {
          for (const Bytes& lie : lies(from, to, about, attacker.mac())) {
            for (const MacAddress& mac : {kGatewayMac, kEveryone, field.victim.mac()}) {
              attacker.send(lie, attacker.mac(), mac);
            }
          }
        }
      }
    }
    field.settle();
    field.victim.send(udp(field.victim.ipv6(), Hosts::kInternet6, 9, "still here"));

    CHECK(field.internet.wait_for("still here"));
    CHECK(field.heard(Bytes("\2\1", 2) + mac_bytes(attacker.mac())) == 0);
    CHECK(field.heard(address_bytes("2001:db8:bad::")) == 0);
    CHECK(routing_of(field.hosts.host) == host);
    CHECK(routing_of(field.victim.where()) == victim);
  }
}

TEST_CASE("there is nobody at link-local addresses, and nobody who comes from one") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    Tap service(field.hosts.host, "::", 5353);
    run_ip(attacker.where(), "address add fe80::66/64 dev eth0 nodad");
    run_ip(field.victim.where(), "address add fe80::77/64 dev eth0 nodad");
    const std::string uplink = field.hosts.host.run([] {
      for (const auto& each : sbx::Rtnetlink().open("up0").addresses()) {
        const std::string text = each.address.to_string();
        if (text.starts_with("fe80")) return text;
      }
      return std::string("fe80::1");
    });

    for (const std::string& from : Addresses{"fe80::66", attacker.ipv6()}) {
      for (const std::string& to :
           Addresses{uplink, "fe80::1", "fe80::77", "ff02::1", "169.254.1.1"}) {
        const std::string source = to[0] == '1' ? attacker.ipv4() : from;
        for (const MacAddress& mac : {kGatewayMac, field.victim.mac(), kEveryone}) {
          attacker.send(udp(source, to, 5353, "forged"), attacker.mac(), mac);
        }
      }
    }
    field.settle();
    say(field.hosts.internet, Hosts::kHost6, 5353, "from outside");

    CHECK(service.wait_for("from outside"));
    CHECK(service.heard("forged") == 0);
    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("what is for all is for nobody") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    Tap service4(field.hosts.host, "0.0.0.0", 5353);
    Tap service6(field.hosts.host, "::", 5353);

    for (const std::string& to :
         Addresses{"255.255.255.255", "10.213.255.255", "198.51.100.255", "10.9.8.255", "224.0.0.1",
                   "224.0.0.251", "239.255.255.250", "ff02::1", "ff02::2", "ff02::fb", "ff05::2",
                   "ff0e::1"}) {
      const std::string& from = is_ipv4(to) ? attacker.ipv4() : attacker.ipv6();
      const Bytes low = address_bytes(to).substr(address_bytes(to).size() - 3);
      MacAddress group{{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(low[0] & 0x7f),
                        static_cast<std::uint8_t>(low[1]), static_cast<std::uint8_t>(low[2])}};
      if (from == attacker.ipv6()) group.bytes = {0x33, 0x33, 0, 0, 0, group.bytes[5]};
      for (const MacAddress& mac : {kGatewayMac, group, kEveryone}) {
        attacker.send(udp(from, to, 5353, "forged"), attacker.mac(), mac);
      }
    }
    field.settle();
    say(field.hosts.internet, Hosts::kHost4, 5353, "from outside");
    say(field.hosts.internet, Hosts::kHost6, 5353, "from outside");

    CHECK(service4.wait_for("from outside"));
    CHECK(service6.wait_for("from outside"));
    CHECK(service4.heard("forged") + service6.heard("forged") == 0);
    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("what a tenant wants to listen to is not remembered by the bridge") {
  SBX_REQUIRE_ROOT();
  Battlefield field(kBridge);

  for (int number = 0; number < 100; ++number) {
    const std::string group = "239.1.2." + std::to_string(number);
    const MacAddress mac{{0x01, 0x00, 0x5e, 1, 2, static_cast<std::uint8_t>(number)}};
    field.attacker.send(igmp_report(field.attacker.ipv4(), group), field.attacker.mac(), mac);
  }
  field.settle();

  CHECK(field.hosts.on_host({"bridge", "mdb"}) == "");
}

namespace {

/// A datagram in two parts, the first of which holds `first` bytes of it.
std::vector<Bytes> in_parts(const std::string& from, const std::string& to, std::uint16_t id,
                            std::size_t first, const Bytes& text) {
  const Bytes whole = udp_segment(from, to, 9, text);
  const auto offset = static_cast<std::uint16_t>(first);
  return {ip(from, to, IPPROTO_UDP, whole.substr(0, first), {.id = id, .more_fragments = true}),
          ip(from, to, IPPROTO_UDP, whole.substr(first), {.id = id, .offset = offset})};
}

}  // namespace

TEST_CASE("fragments do not get where whole packets do not") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    std::uint16_t id = 100;

    for (const std::string& to :
         Addresses{Hosts::kInner4, field.victim.ipv4(), Hosts::kInner6, field.victim.ipv6()}) {
      const std::string& from = is_ipv4(to) ? attacker.ipv4() : attacker.ipv6();
      for (const std::size_t first : {8, 16}) {
        const auto parts = in_parts(from, to, ++id, first, "forged-forged-forged-forged");
        for (const Bytes& part : parts) attacker.send(part);
        for (const Bytes& part : in_parts(from, to, ++id, first, "forged-forged-forged-forged")) {
          attacker.send(part);
          attacker.send(part);
        }
        attacker.send(parts[1]);
      }
    }
    for (const Bytes& part : in_parts(attacker.ipv4(), Hosts::kInternet4, 7, 8, "honest4-text")) {
      attacker.send(part);
    }
    for (const Bytes& part : in_parts(attacker.ipv6(), Hosts::kInternet6, 7, 8, "honest6-text")) {
      attacker.send(part);
    }
    CHECK(field.internet.wait_for("honest6"));
    field.settle();

    CHECK(field.heard("forged") == 0);
    CHECK(field.heard("honest4") == 1);
  }
}

TEST_CASE("a part of a packet in another's name is not put together with his own parts") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const auto attack = [&field](const std::string& from, const char* to) {
      const auto lie = in_parts(from, to, 77, 16, "a poison, with the rest of it");
      const auto truth = in_parts(from, to, 77, 16, "the text, with the rest of it");
      field.attacker.send(lie[0], field.victim.mac(), kGatewayMac);
      field.victim.send(truth[1]);
      field.victim.send(truth[0]);
    };

    attack(field.victim.ipv4(), Hosts::kInternet4);
    CHECK(field.internet.wait_for("the text"));
    attack(field.victim.ipv6(), Hosts::kInternet6);
    CHECK(field.internet.wait_for("the text"));

    CHECK(field.heard("a poison") == 0);
  }
}
