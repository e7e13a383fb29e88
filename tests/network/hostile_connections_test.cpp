// SPDX-License-Identifier: Apache-2.0
//
// Connections of a hostile tenant's: how many he may have, what looks like a part of others', and
// what is left of them when their time is over.
#include <doctest/doctest.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "sbx/nftables.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::Destination;
using sbx::Network;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::UniqueFd;
using namespace sbx::test;

namespace {

/// As a firewall does that is loaded anew: all others' tables go, and its own has connections
/// tracked.
void replace_walls(const sbx::Namespace& host) {
  const sbx::nft::Table table{sbx::nft::Family::kInet, "filter"};
  const sbx::nft::Chain chain{.name = "input",
                              .base = sbx::nft::BaseChain{.hook = sbx::nft::Hook::kInput}};
  sbx::nft::Nftables tables(host);
  sbx::nft::Batch batch;
  for (const sbx::nft::Table& each : tables.tables()) batch.remove(each);
  batch.add(table).add(table, chain);
  batch.add(table, chain.name,
            sbx::nft::Rule().has_any(sbx::nft::Field::kState, sbx::nft::kEstablished).accept());
  tables.commit(batch);
}

}  // namespace

TEST_CASE("a flood of connections takes no more places than were granted") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Hosts hosts;
    const Listener internet(hosts.internet, Hosts::kInternet4, 80);
    Network network = hosts.network(mode, "attacker");
    network.connections_max = 10;
    const auto connect = [&](const Sandbox& from) {
      return connected(namespace_of(from), Hosts::kInternet4, 80, SOCK_STREAM);
    };
    const Sandbox other = hosts.start(hosts.network(mode), "sleep 1d");
    {
      const Sandbox attacker = hosts.start(network, "sleep 1d");
      std::vector<UniqueFd> held;
      for (int i = 0; i < 10; ++i) held.push_back(connect(attacker));
      for (const UniqueFd& each : held) CHECK(each);

      CHECK_FALSE(connect(attacker));
      CHECK(connect(other));
      held.pop_back();
      CHECK(wait_until([&] { return bool(connect(attacker)); }));
    }
    network.connections_max = 11;
    const Sandbox again = hosts.start(network, "sleep 1d");
    std::vector<UniqueFd> held;
    for (int i = 0; i < 11; ++i) held.push_back(connect(again));
    for (const UniqueFd& each : held) CHECK(each);
    CHECK_FALSE(connect(again));
  }
}

TEST_CASE(
    "a flood of a published port takes no more places than were granted, and none of its owner's") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Hosts hosts;
    const Listener internet(hosts.internet, Hosts::kInternet4, 80);
    for (const std::uint32_t most : {10U, 11U}) {  // in the end nothing is left of the first
      CAPTURE(most);
      Network network = hosts.network(mode, "flooded");
      network.connections_max = most;
      network.publish = {PublishedPort::parse("8080:80")};
      const Sandbox flooded = hosts.start(network, "sleep 1d");
      network = hosts.network(mode, "other");
      network.publish = {PublishedPort::parse("8081:80")};
      const Sandbox other = hosts.start(network, "sleep 1d");
      const Listener port(namespace_of(flooded), "0.0.0.0", 80);
      const Listener port6(namespace_of(flooded), "::", 80);
      const Listener others_port(namespace_of(other), "0.0.0.0", 80);
      const auto reach = [&](std::uint16_t number) {
        return connected(hosts.internet, Hosts::kHost4, number, SOCK_STREAM);
      };
      std::vector<UniqueFd> held;
      for (std::uint32_t i = 0; i < most; ++i) held.push_back(reach(8080));
      for (const UniqueFd& each : held) CHECK(each);

      CHECK_FALSE(reach(8080));
      CHECK_FALSE(connected(namespace_of(other), Hosts::kHost4, 8080, SOCK_STREAM));
      CHECK_FALSE(connected(hosts.host, "127.0.0.1", 8080, SOCK_STREAM));
      CHECK(reach(8081));
      CHECK(connected(hosts.internet, Hosts::kHost6, 8080, SOCK_STREAM));
      CHECK(connected(namespace_of(flooded), Hosts::kInternet4, 80, SOCK_STREAM));
      held.pop_back();
      CHECK(wait_until([&] { return bool(reach(8080)); }));
    }
  }
}

TEST_CASE("datagrams take places too, wherever they go") {
  SBX_REQUIRE_ROOT();
  Network ten;
  ten.connections_max = 10;

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode, ten);  // settled: one is taken
    show_no_frames_to_ip(field.hosts.host);
    const Attacker& attacker = field.attacker;
    const auto flood = [&](const char* to, const Bytes& text) {
      for (std::uint16_t port = 5000; port < 5030; ++port) {
        attacker.send(udp(attacker.ipv4(), to, Battlefield::kPublished, text, {}, port));
      }
      field.settle(field.victim);  // the attacker has no place left for that
    };

    flood(Hosts::kHost4, "to another's port");
    CHECK(field.heard("to another's port") == 9);
    flood(Hosts::kInternet4, "to the internet");
    CHECK(field.heard("to the internet") == 0);
  }
}

TEST_CASE("a rate is not lifted from inside") {
  SBX_REQUIRE_ROOT();
  constexpr int kPackets = 4000;
  const Bytes text(1200, 'x');

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    const sbx::Rtnetlink on_internet(hosts.internet);
    const auto arrived = [&] { return on_internet.open("world").statistics().rx_bytes; };
    Network network = hosts.network(mode);
    network.rate_bits_per_second = 800'000;
    for (const bool v4 : {true, false}) {
      CAPTURE(v4);
      const Sandbox sandbox = hosts.start(network, "sleep 1d");
      const Attacker attacker(sandbox);
      attacker.where().run([] { sbx::Rtnetlink().open("eth0").limit_rate(0); });
      const std::uint64_t before = arrived();

      for (int i = 0; i < kPackets; ++i) {
        attacker.send(v4 ? udp(attacker.ipv4(), Hosts::kInternet4, 9, text)
                         : udp(attacker.ipv6(), Hosts::kInternet6, 9, text));
      }

      // A burst of a megabyte is granted.
      CHECK(wait_until([&] { return arrived() - before > 1'000'000; }));
      CHECK(arrived() - before < kPackets * text.size() / 2);
    }
  }
}

TEST_CASE("a tenant's ICMP tells nobody anything about connections of others") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    const Listener database(field.hosts.inner, Hosts::kInner4, 5432, Transport::kUdp);
    const UniqueFd client = connected(field.hosts.host, Hosts::kInner4, 5432, SOCK_DGRAM);
    CHECK(::send(client.get(), "query", 5, 0) == 5);
    const Bytes flow = udp(field.victim.ipv4(), Hosts::kInternet4, 9, "of the victim's", {}, 4321);
    field.victim.send(flow);
    CHECK(field.internet.wait_for("of the victim's"));

    const Listener database6(field.hosts.inner, Hosts::kInner6, 5432, Transport::kUdp);
    const UniqueFd client6 = connected(field.hosts.host, Hosts::kInner6, 5432, SOCK_DGRAM);
    CHECK(::send(client6.get(), "query", 5, 0) == 5);

    const Bytes nothing(4, '\0');
    const Bytes of_host =
        udp(Hosts::kHostInner4, Hosts::kInner4, 5432, "query", {}, port_of(client));
    const Bytes of_victim = udp(field.victim.ipv4(), Hosts::kInternet4, 9, "forged", {}, 4321);
    for (const auto& kind : {std::pair<int, int>{3, 3}, {3, 4}, {5, 1}, {11, 0}, {12, 0}}) {
      const auto lie = [&](const std::string& to, const Bytes& about) {
        const Bytes gateway = kind.first == 5 ? address_bytes(attacker.ipv4()) : nothing;
        attacker.send(icmp(attacker.ipv4(), to, static_cast<std::uint8_t>(kind.first),
                           static_cast<std::uint8_t>(kind.second), gateway + about));
      };
      lie(Hosts::kHostInner4, of_host);
      lie(field.victim.ipv4(), of_victim);
      lie(Hosts::kInternet4, udp(Hosts::kInternet4, Hosts::kHost4, 4321, "forged", {}, 9));
      lie(Hosts::kInternet4, udp(Hosts::kInternet4, field.victim.ipv4(), 4321, "forged", {}, 9));
      lie(Hosts::kHost4, udp(Hosts::kHost4, Hosts::kInternet4, 9, "forged", {}, 4321));
    }
    const Bytes of_host6 =
        udp(Hosts::kHostInner6, Hosts::kInner6, 5432, "query", {}, port_of(client6));
    for (const auto& kind : {std::pair<std::uint8_t, std::uint8_t>{1, 4}, {1, 0}, {3, 0}, {4, 0}}) {
      attacker.send(
          icmp(attacker.ipv6(), Hosts::kHostInner6, kind.first, kind.second, nothing + of_host6));
    }
    field.settle();

    CHECK(error_of(client) == 0);
    CHECK(error_of(client6) == 0);
    CHECK(field.heard("forged") == 0);

    // Of its own it may: the port is published, and nobody has it inside.
    for (const char* host : {Hosts::kHost4, Hosts::kHost6}) {
      const UniqueFd caller = connected(field.hosts.internet, host, 7777, SOCK_DGRAM);
      CHECK(::send(caller.get(), "hello", 5, 0) == 5);
      CHECK(wait_until([&] { return error_of(caller) == ECONNREFUSED; }));
    }
    // And of those that it has begun: nobody waits for the answer any more.
    for (const auto& [host, router] :
         {std::pair{Hosts::kHost4, Hosts::kRouter4}, {Hosts::kHost6, Hosts::kRouter6}}) {
      const std::string& from = is_ipv4(host) ? attacker.ipv4() : attacker.ipv6();
      const UniqueFd server = connected(field.hosts.internet, host, 4444, SOCK_DGRAM);
      attacker.send(udp(from, router, port_of(server), "question", {}, 4444));
      CHECK(field.internet.wait_for("question"));
      CHECK(::send(server.get(), "answer", 6, 0) == 6);
      CHECK(wait_until([&] { return error_of(server) == ECONNREFUSED; }));
    }
  }
}

TEST_CASE("parts of connections that never were go nowhere") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    for (const std::string& to : Addresses{Hosts::kInner4, field.victim.ipv4(), Hosts::kHostInner4,
                                           Hosts::kInner6, field.victim.ipv6(), Hosts::kHost6}) {
      const std::string& from = is_ipv4(to) ? attacker.ipv4() : attacker.ipv6();
      for (const int flags : {0, kAck, kReset, kReset | kAck, kSyn | kAck, kFin | kAck, 0x3f}) {
        attacker.send(tcp(from, to, 4000, 5432, flags, "forged"));
      }
      attacker.send(icmp(from, to, is_ipv4(to) ? 0 : 129, 0, "\1\1\1\1forged"));
      attacker.send(
          icmp(from, to, is_ipv4(to) ? 3 : 1, 3, Bytes(4, '\0') + udp(to, from, 9, "forged")));
      attacker.send(ip(from, to, 132, "forged forged"));
      attacker.send(ip(from, to, 253, "forged"));
    }
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}

TEST_CASE("who comes after has none of the connections of who was there before") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    Tap inner(hosts.inner);
    Tap internet(hosts.internet);
    Network network = hosts.network(mode, "attacker");
    network.allow = {Destination::parse(Hosts::kInner4), Destination::parse(Hosts::kInner6)};
    network.publish = {PublishedPort::parse("7777:7777/udp")};
    const UniqueFd caller = connected(hosts.inner, Hosts::kHostInner4, 7777, SOCK_DGRAM);
    const UniqueFd caller6 = connected(hosts.inner, Hosts::kHostInner6, 7777, SOCK_DGRAM);
    // Of an echo, which is answered: that makes it a connection.
    const auto talk = [](const Attacker& who, const Bytes& text) {
      const Bytes about = Bytes("\7\7\0\1", 4) + text;
      who.send(icmp(who.ipv4(), Hosts::kInner4, 8, 0, about));
      who.send(icmp(who.ipv6(), Hosts::kInner6, 128, 0, about));
      who.send(icmp(who.ipv4(), Hosts::kInternet4, 8, 0, about));
    };
    const auto answer = [&](const Attacker& who, const Bytes& text) {
      who.send(udp(who.ipv4(), Hosts::kInner4, port_of(caller), text, {}, 7777));
      who.send(udp(who.ipv6(), Hosts::kInner6, port_of(caller6), text, {}, 7777));
    };
    const Sandbox other = hosts.start(hosts.network(mode), "sleep 1d");
    {
      const Sandbox sandbox = hosts.start(network, "sleep 1d");
      const Attacker before(sandbox);
      talk(before, "allowed");
      CHECK(inner.wait_for("allowed"));
      CHECK(internet.wait_for("allowed"));
      Tap inside(before.where());
      for (const UniqueFd* each : {&caller, &caller6}) {
        CHECK(::send(each->get(), "question", 8, 0) == 8);
        CHECK(inside.wait_for("question"));
      }
      answer(before, "answer");
      CHECK(inner.wait_for("answer"));
      CHECK(inner.wait_for("answer"));
    }

    network.allow = {};
    network.publish = {};
    const Sandbox after = hosts.start(network, "sleep 1d");
    answer(Attacker(after), "forged");
    talk(Attacker(after), "forged");
    CHECK(internet.wait_for("forged"));
    say(hosts.host, Hosts::kInner4, 9, "settled");
    CHECK(inner.wait_for("settled"));
    CHECK(inner.heard("forged") == 0);
  }
}

namespace {

/// Waits until no link of a sandbox's is there.
bool comes_to_no_sandbox(const Hosts& hosts) {
  const sbx::Rtnetlink links(hosts.host);
  return wait_until([&] {
    const auto names = links.names();
    return std::none_of(names.begin(), names.end(), [](const std::string& name) {
      return name.starts_with("sb") && !name.ends_with("bridge");
    });
  });
}

}  // namespace

TEST_CASE("the port of who has ended leads nobody to who comes after") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    // As on a host of containers: its links pass packets on already.
    set(hosts.host, "ipv4/ip_forward", "1");
    Tap internet(hosts.internet);
    const UniqueFd caller = connected(hosts.internet, Hosts::kHost4, 7777, SOCK_DGRAM);
    Network network = hosts.network(mode, "tenant");
    network.publish = {PublishedPort::parse("7777:53/udp")};
    {
      const Sandbox before = hosts.start(network, "sleep 1d");
      ::kill(before.pid(), SIGKILL);
      // Its link is gone, and nobody has taken it out.
      CHECK(comes_to_no_sandbox(hosts));
      CHECK(::send(caller.get(), "early", 5, 0) == 5);
    }

    network.publish = {PublishedPort::parse("7778:54/udp")};
    const Sandbox after = hosts.start(network, "sleep 1d");
    Tap inside(namespace_of(after));
    CHECK(::send(caller.get(), "forged", 6, 0) == 6);
    say(hosts.internet, Hosts::kHost4, 7778, "settled");
    CHECK(inside.wait_for("settled"));
    say(hosts.host, Hosts::kInternet4, 9, "settled");
    CHECK(internet.wait_for("settled"));

    CHECK(inside.heard("forged") == 0);
    CHECK(internet.heard("early") == 0);
  }
}

TEST_CASE("who on the host asks at the port of who has ended sends nothing elsewhere") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    Tap internet(hosts.internet);
    Network network = hosts.network(mode);
    network.publish = {PublishedPort::parse("7777:53/udp")};
    const Sandbox before = hosts.start(network, "sleep 1d");
    ::kill(before.pid(), SIGKILL);
    CHECK(comes_to_no_sandbox(hosts));

    for (const char* address : {Hosts::kHost4, Hosts::kHost6, "127.0.0.1", "::1"}) {
      const UniqueFd caller = connected(hosts.host, address, 7777, SOCK_DGRAM);
      ::send(caller.get(), "secret", 6, 0);
    }
    say(hosts.host, Hosts::kInternet6, 9, "settled");
    CHECK(internet.wait_for("settled"));
    say(hosts.host, Hosts::kInternet4, 9, "settled");
    CHECK(internet.wait_for("settled"));

    CHECK(internet.heard("secret") == 0);
  }
}

TEST_CASE("what has begun while the firewall was away ends when it is back") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    const Attacker& attacker = field.attacker;
    // Of an echo, which is answered: that makes it a connection.
    const auto talk = [&](const Bytes& text) {
      const Bytes about = Bytes("\7\7\0\1", 4) + text;
      attacker.send(icmp(attacker.ipv4(), Hosts::kInner4, 8, 0, about));
      attacker.send(icmp(attacker.ipv6(), Hosts::kInner6, 128, 0, about));
    };
    replace_walls(field.hosts.host);
    talk("allowed");
    CHECK(field.inner.wait_for("allowed"));
    CHECK(field.inner.wait_for("allowed"));

    CHECK(field.hosts.say(field.hosts.network(mode), "echo up") == "up\n");
    talk("forged");
    field.settle();

    CHECK(field.heard("forged") == 0);
  }
}
