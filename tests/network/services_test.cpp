// SPDX-License-Identifier: Apache-2.0
//
// Real services, each on its usual port and all addresses, in two sandboxes at once; and rates.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "network/hosts.hpp"
#include "support/command.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using sbx::Network;
using sbx::Sandbox;
using sbx::test::address_of;
using sbx::test::can_connect;
using sbx::test::Hosts;
using sbx::test::Listener;
using sbx::test::namespace_of;
using sbx::test::reach;
using enum sbx::Network::Mode;

namespace {

struct Service {
  const char* program;
  std::uint16_t port;
  const char* start;
};

constexpr Service kServices[] = {
    {"redis-server", 6379,
     "redis-server --port 6379 --save '' --protected-mode no --bind '*' '-::*'"},
    {"memcached", 11211, "memcached -p 11211 -l 0.0.0.0,::"},
    {"beanstalkd", 11300, "beanstalkd -l :: -p 11300"},
};

bool is_installed(const char* program) {
  return sbx::test::run({.argv = {"sh", "-c", std::string("command -v ") + program}}).status == 0;
}

/// Starts `service`, and waits until it answers inside, in both families: it listens in each apart.
Sandbox start_serving(const Hosts& hosts, Network::Mode mode, const Service& service) {
  Sandbox sandbox = hosts.start(hosts.network(mode), std::string("exec ") + service.start);
  const auto inside = namespace_of(sandbox);
  sbx::test::wait_until([&] {
    return can_connect(inside, "127.0.0.1", service.port) &&
           can_connect(inside, "::1", service.port);
  });
  return sandbox;
}

}  // namespace

TEST_CASE("services on one port in two sandboxes are each sandbox's own") {
  SBX_REQUIRE_ROOT();
  for (const Service& service : kServices) {
    if (!is_installed(service.program)) SBX_SKIP("needs redis-server, memcached and beanstalkd");
  }
  const Hosts hosts;

  for (const Service& service : kServices) {
    CAPTURE(std::string(service.program));
    const Sandbox alice = start_serving(hosts, kRouted, service);
    const Sandbox bob = start_serving(hosts, kBridge, service);
    const auto inside_alice = namespace_of(alice);
    const auto inside_bob = namespace_of(bob);

    for (const IpFamily family : {IpFamily::kIpv4, IpFamily::kIpv6}) {
      const std::string of_alice = address_of(alice, family);
      const std::string of_bob = address_of(bob, family);
      CHECK(can_connect(inside_alice, of_alice, service.port));
      CHECK(can_connect(inside_bob, of_bob, service.port));
      CHECK_FALSE(can_connect(inside_alice, of_bob, service.port));
      CHECK_FALSE(can_connect(inside_bob, of_alice, service.port));
      CHECK_FALSE(can_connect(hosts.host, of_alice, service.port));
    }
  }
}

TEST_CASE("a rate holds in both directions") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  constexpr std::size_t kBytes = 2 << 20;
  constexpr double kSeconds = kBytes * 8 / 20e6;
  Network network = hosts.network();
  network.rate_bits_per_second = 20'000'000;
  const auto seconds = [&](const std::string& script, const std::function<void(int)>& peer) {
    const auto start = std::chrono::steady_clock::now();
    auto serving = std::async(std::launch::async, [&] { internet.wait_for_connection(peer); });
    CHECK(
        hosts.run(network, std::string("exec 3<>/dev/tcp/") + Hosts::kInternet4 + "/80; " + script)
            .report.ok());
    serving.get();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<char> block(kBytes);

  CHECK(seconds("head -c 2097152 /dev/zero >&3; cat <&3", [&](int fd) {
          CHECK(::recv(fd, block.data(), block.size(), MSG_WAITALL) == ssize_t{kBytes});
        }) > kSeconds * 0.7);
  CHECK(seconds("head -c 2097152 <&3 >/dev/null", [&](int fd) {
          CHECK(::send(fd, block.data(), block.size(), MSG_NOSIGNAL) == ssize_t{kBytes});
        }) > kSeconds * 0.7);
}
