// SPDX-License-Identifier: Apache-2.0
//
// What is counted, and for whom.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "network/hosts.hpp"
#include "support/require.hpp"

using sbx::Namespace;
using sbx::Network;
using sbx::NetworkUsage;
using sbx::Output;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::test::Hosts;
using sbx::test::Listener;
using sbx::test::Transport;
using enum sbx::Network::Mode;

namespace {

constexpr Network::Mode kModes[] = {kRouted, kBridge};
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
    CAPTURE(static_cast<int>(mode));
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
  const Listener inside(Namespace::of(sandbox.pid(), sbx::NamespaceKind::kNet), "0.0.0.0", 80);

  CHECK(sbx::test::can_connect(hosts.internet, Hosts::kHost4, 8080));
  CHECK(sbx::test::can_connect(hosts.host, "127.0.0.1", 8080));
  sandbox.kill();
  const auto report = sandbox.wait();

  REQUIRE(report.network);
  CHECK(report.network->published4.received.packets >= 4);
  CHECK(report.network->published4.sent.packets >= 2);
  CHECK(report.network->internet4 == sbx::TrafficCount{});
}

TEST_CASE("what was refused is not counted") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  const Output output =
      hosts.run(hosts.network(), send_datagrams(Hosts::kInner4, 53, 10, 100) + " true");

  REQUIRE(output.report.network);
  CHECK(output.report.network->total().sent.packets == 0);
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
