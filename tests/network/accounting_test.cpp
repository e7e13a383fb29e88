// SPDX-License-Identifier: Apache-2.0
//
// What is counted, and for whom.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "sbx/nftables.hpp"
#include "support/require.hpp"

using sbx::Network;
using sbx::NetworkUsage;
using sbx::Output;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::UniqueFd;
using namespace sbx::test;
using enum sbx::Network::Mode;

namespace {

constexpr std::uint64_t kIp4 = 28;  // the headers of IPv4 and UDP
constexpr std::uint64_t kIp6 = 48;

/// Sends `count` datagrams of `size` bytes.
std::string send_datagrams(const char* address, int port, int count, int size) {
  return std::string("exec 3<>/dev/udp/") + address + "/" + std::to_string(port) +
         "; for i in $(seq " + std::to_string(count) + "); do printf '%" + std::to_string(size) +
         "s' x >&3; done;";
}

}  // namespace

TEST_CASE("each datagram is counted, with its header, in its family") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener v4(hosts.internet, Hosts::kInternet4, 53, Transport::kUdp);
  const Listener v6(hosts.internet, Hosts::kInternet6, 53, Transport::kUdp);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Output output =
        hosts.run(hosts.network(mode), send_datagrams(Hosts::kInternet4, 53, 10, 100) +
                                           send_datagrams(Hosts::kInternet6, 53, 20, 50));
    REQUIRE(output.report.network);
    const NetworkUsage& usage = *output.report.network;
    CHECK(usage.internet4.sent.packets == 10);
    CHECK(usage.internet4.sent.bytes == 10 * (100 + kIp4));
    CHECK(usage.internet6.sent.packets == 20);
    CHECK(usage.internet6.sent.bytes == 20 * (50 + kIp6));
    CHECK(usage.published4 == sbx::TrafficCount{});
    CHECK(usage.published6 == sbx::TrafficCount{});
    CHECK(usage.internet4.received.packets == 0);
    CHECK(usage.forged_packets == 0);
    CHECK(usage.total().sent.packets == 30);
  }
}

TEST_CASE("what comes to published ports is counted apart") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  Network network = hosts.network();
  network.publish = {PublishedPort::parse("8080:80")};
  Sandbox sandbox = hosts.start(network, "sleep 1d");
  const Listener inside(namespace_of(sandbox), "0.0.0.0", 80);

  CHECK(can_connect(hosts.internet, Hosts::kHost4, 8080));
  CHECK(can_connect(hosts.host, "127.0.0.1", 8080));
  sandbox.kill();
  const auto report = sandbox.wait();

  REQUIRE(report.network);
  CHECK(report.network->published4.received.packets >= 4);
  CHECK(report.network->published4.sent.packets >= 2);
  CHECK(report.network->internet4 == sbx::TrafficCount{});
}

TEST_CASE("questions and answers are counted, in both directions and both families") {
  SBX_REQUIRE_ROOT();
  constexpr std::uint64_t kRounds = 3;
  const Bytes text(100, 'x');
  constexpr std::uint64_t kIcmp = 8;  // its header

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    Network network = hosts.network(mode);
    network.publish = {PublishedPort::parse("7777:80/udp")};
    Sandbox sandbox = hosts.start(network, "sleep 1d");
    const Attacker inside(sandbox);
    // Or its kernel would answer, too: that nobody listens.
    const Listener listens4(inside.where(), "0.0.0.0", 80, Transport::kUdp);
    const Listener listens6(inside.where(), "::", 80, Transport::kUdp);
    Tap hears(inside.where());
    Tap internet(hosts.internet);
    const UniqueFd caller4 = connected(hosts.internet, Hosts::kHost4, 7777, SOCK_DGRAM);
    const UniqueFd caller6 = connected(hosts.internet, Hosts::kHost6, 7777, SOCK_DGRAM);

    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const Bytes number = "\7\7" + Bytes(1, '\0') + static_cast<char>('0' + round);
      inside.send(icmp(inside.ipv4(), Hosts::kInternet4, 8, 0, number + text));
      CHECK(hears.wait_for(number + text));
      inside.send(icmp(inside.ipv6(), Hosts::kInternet6, 128, 0, number + text));
      CHECK(hears.wait_for(number + text));

      for (const UniqueFd* caller : {&caller4, &caller6}) {
        const Bytes question = number + "?";
        CHECK(::send(caller->get(), question.data(), question.size(), 0) == 5);
        CHECK(hears.wait_for(question));
        const bool v4 = caller == &caller4;
        const Bytes answer = number + "!!!";
        inside.send(v4 ? udp(inside.ipv4(), Hosts::kRouter4, port_of(*caller), answer, {}, 80)
                       : udp(inside.ipv6(), Hosts::kRouter6, port_of(*caller), answer, {}, 80));
        CHECK(internet.wait_for(answer));
      }
    }
    sandbox.kill();
    const auto report = sandbox.wait();

    REQUIRE(report.network);
    const auto times = [](std::uint64_t bytes) {
      return sbx::PacketCount{.bytes = kRounds * bytes, .packets = kRounds};
    };
    const NetworkUsage& usage = *report.network;
    CHECK(usage.internet4.sent == times(20 + kIcmp + 100));
    CHECK(usage.internet4.received == times(20 + kIcmp + 100));
    CHECK(usage.internet6.sent == times(40 + kIcmp + 100));
    CHECK(usage.internet6.received == times(40 + kIcmp + 100));
    CHECK(usage.published4.received == times(kIp4 + 5));
    CHECK(usage.published4.sent == times(kIp4 + 7));
    CHECK(usage.published6.received == times(kIp6 + 5));
    CHECK(usage.published6.sent == times(kIp6 + 7));
    CHECK(usage.total().sent.packets == 4 * kRounds);
    CHECK(usage.total().received.packets == 4 * kRounds);
  }
}

TEST_CASE("a packet between two sandboxes is counted for both") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    show_no_frames_to_ip(field.hosts.host);
    // Or their kernels would answer, too: that nobody listens.
    const Listener listens(field.victim.where(), "0.0.0.0", Battlefield::kPublished,
                           Transport::kUdp);
    const Listener waits(field.attacker.where(), "0.0.0.0", 4000, Transport::kUdp);
    Tap inside_attacker(field.attacker.where());
    const auto usage = [&field](const char* name) {
      return *field.hosts.host.run(
          [&] { return sbx::network_usage(field.hosts.network().host, name); });
    };
    const NetworkUsage caller = usage("attacker");
    const NetworkUsage called = usage("victim");

    for (const char* round : {"first", "second"}) {
      field.attacker.send(
          udp(field.attacker.ipv4(), Hosts::kHost4, Battlefield::kPublished, round));
      CHECK(field.inside_victim.wait_for(round));
      field.victim.send(udp(field.victim.ipv4(), field.attacker.ipv4(), 4000, round, {},
                            Battlefield::kPublished));
      CHECK(inside_attacker.wait_for(round));
    }

    const NetworkUsage of_caller = usage("attacker");
    const NetworkUsage of_called = usage("victim");
    CHECK(of_caller.internet4.sent.packets - caller.internet4.sent.packets == 2);
    CHECK(of_caller.internet4.received.packets - caller.internet4.received.packets == 2);
    CHECK(of_called.published4.received.packets - called.published4.received.packets == 2);
    CHECK(of_called.published4.sent.packets - called.published4.sent.packets == 2);
  }
}

TEST_CASE("what was refused is not counted") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  const Output output =
      hosts.run(hosts.network(), send_datagrams(Hosts::kInner4, 53, 10, 100) + " true");

  REQUIRE(output.report.network);
  CHECK(output.report.network->total().sent.packets == 0);

  // Nor what another firewall drops.
  hosts.host.run([] {
    const sbx::nft::Table table{sbx::nft::Family::kIpv4, "filter"};
    sbx::nft::Batch batch;
    batch.add(table).add(
        table, sbx::nft::Chain{
                   .name = "FORWARD",
                   .base = sbx::nft::BaseChain{.hook = sbx::nft::Hook::kForward, .drops = true}});
    sbx::nft::Nftables().commit(batch);
  });
  const Output dropped =
      hosts.run(hosts.network(), send_datagrams(Hosts::kInternet4, 53, 10, 100) + " true");
  REQUIRE(dropped.report.network);
  CHECK(dropped.report.network->total().sent.packets == 0);
}

TEST_CASE("a name's counts go on when it comes back, and while it runs") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener v4(hosts.internet, Hosts::kInternet4, 53, Transport::kUdp);
  const auto usage = [&hosts] {
    return hosts.host.run([&] { return sbx::network_usage(hosts.network().host, "alice"); });
  };
  CHECK_FALSE(usage());

  hosts.run(hosts.network(kRouted, "alice"), send_datagrams(Hosts::kInternet4, 53, 10, 100));
  CHECK(usage()->internet4.sent.packets == 10);
  hosts.run(hosts.network(kBridge, "alice"), send_datagrams(Hosts::kInternet4, 53, 5, 100));
  CHECK(usage()->internet4.sent.packets == 15);
  hosts.run(hosts.network(kRouted, "bob"), send_datagrams(Hosts::kInternet4, 53, 7, 100));

  const Sandbox sandbox = hosts.start(hosts.network(kRouted, "alice"),
                                      send_datagrams(Hosts::kInternet4, 53, 3, 100) + "sleep 1d");
  for (int arrived = 0; arrived < 25; ++arrived) v4.wait_for_visitor();
  CHECK(usage()->internet4.sent.packets == 18);
  CHECK(usage()->internet4.sent.bytes == 18 * (100 + kIp4));
}

TEST_CASE("what goes over TCP is counted within a hundredth") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  constexpr std::size_t kBytes = 16 << 20;
  std::vector<char> bytes(kBytes);
  std::thread reader([&] {
    internet.wait_for_connection(
        [&](int fd) { CHECK(::recv(fd, bytes.data(), kBytes, MSG_WAITALL) == ssize_t{kBytes}); });
  });

  const sbx::Rtnetlink on_internet(hosts.internet);
  const auto arrived = [&on_internet] {
    constexpr std::uint64_t kEthernet = 14;
    const auto seen = on_internet.open("world").statistics();
    return static_cast<double>(seen.rx_bytes - kEthernet * seen.rx_packets);
  };
  const double before = arrived();
  const Output output =
      hosts.run(hosts.network(), std::string("exec 3<>/dev/tcp/") + Hosts::kInternet4 +
                                     "/80; head -c 16777216 /dev/zero >&3; cat <&3");
  reader.join();

  REQUIRE(output.report.network);
  CHECK(static_cast<double>(output.report.network->internet4.sent.bytes) ==
        doctest::Approx(arrived() - before).epsilon(0.01));
}
