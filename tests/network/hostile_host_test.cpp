// SPDX-License-Identifier: Apache-2.0
//
// What a host with sandboxes is not to become for others, and what is left when one clings to it.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "network/attacker.hpp"
#include "network/hosts.hpp"
#include "sbx/error.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::IpPrefix;
using sbx::Namespace;
using sbx::Network;
using sbx::Sandbox;
using namespace sbx::test;
using enum sbx::Network::Mode;

namespace {

void route_through_host(const Hosts& hosts) {
  sbx::Rtnetlink on_internet(hosts.internet);
  sbx::Link world = on_internet.open("world");
  world.add_route(
      {.destination = IpPrefix::parse("10.9.8.0/24"), .gateway = IpAddress::parse(Hosts::kHost4)});
  world.add_route(
      {.destination = IpPrefix::parse("fd99::/64"), .gateway = IpAddress::parse(Hosts::kHost6)});
}

/// False, too, while somebody else has the name.
bool reaches_internet(const Hosts& hosts, const char* name) {
  try {
    return hosts.say(hosts.network(kBridge, name), reach(Hosts::kInternet4, 80)) == "reached\n";
  } catch (const sbx::SystemError& error) {
    if (error.code().value() != EBUSY) throw;
    return false;
  }
}

}  // namespace

TEST_CASE("a host with sandboxes is no router between its other networks") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Battlefield field(mode);
    route_through_host(field.hosts);
    REQUIRE(setting(field.hosts.host, "ipv4/ip_forward") == "1");
    REQUIRE(setting(field.hosts.host, "ipv6/conf/all/forwarding") == "1");

    say(field.hosts.internet, Hosts::kInner4, 9, "stray");
    say(field.hosts.internet, Hosts::kInner6, 9, "stray");
    say(field.hosts.inner, Hosts::kInternet4, 9, "stray");
    say(field.hosts.inner, Hosts::kInternet6, 9, "stray");
    field.settle();

    CHECK(field.heard("stray") == 0);

    flush_firewall(field.hosts.host);
    const Sandbox next = field.hosts.start(field.hosts.network(mode), "sleep 1d");
    say(field.hosts.internet, Hosts::kInner4, 9, "stray");
    say(field.hosts.internet, Hosts::kInner6, 9, "stray");
    field.settle();
    CHECK(field.heard("stray") == 0);
  }
}

TEST_CASE("a host that was a router stays one") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  Tap inner(hosts.inner);
  route_through_host(hosts);
  set(hosts.host, "ipv4/ip_forward", "1");
  const Sandbox sandbox = hosts.start(hosts.network(), "sleep 1d");

  say(hosts.internet, Hosts::kInner4, 9, "passing");
  CHECK(inner.wait_for("passing"));
}

TEST_CASE("settings that the kernel changes along with others are as before in the end") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  set(hosts.host, "ipv4/conf/all/accept_redirects", "0");
  set(hosts.host, "ipv4/conf/inner0/forwarding", "1");
  set(hosts.host, "ipv6/conf/inner0/forwarding", "1");

  hosts.run(hosts.network(), "true");

  CHECK(setting(hosts.host, "ipv4/ip_forward") == "0");
  CHECK(setting(hosts.host, "ipv4/conf/all/accept_redirects") == "0");
  CHECK(setting(hosts.host, "ipv4/conf/inner0/forwarding") == "1");
  CHECK(setting(hosts.host, "ipv4/conf/up0/forwarding") == "0");
  CHECK(setting(hosts.host, "ipv6/conf/inner0/forwarding") == "1");
}

TEST_CASE("who keeps the namespace of an ended sandbox has no way to the host") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    const std::string before = hosts.inventory();
    std::optional<Sandbox> sandbox = hosts.start(hosts.network(mode), "sleep 1d");
    const Attacker kept(*sandbox);  // by a namespace, and by a socket
    sandbox.reset();
    Tap service(hosts.host, "0.0.0.0", 5300);

    CHECK_THROWS(kept.send(udp(kept.ipv4(), Hosts::kHost4, 5300, "forged")));
    say(hosts.internet, Hosts::kHost4, 5300, "from outside");
    CHECK(service.wait_for("from outside"));
    CHECK(service.heard("forged") == 0);
    CHECK(hosts.comes_to(before));
  }
}

TEST_CASE("who keeps the namespace of an ended sandbox does not speak for who comes after") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    const Sandbox other = hosts.start(hosts.network(mode), "sleep 1d");  // the walls stay
    Tap inner(hosts.inner);
    Network network = hosts.network(mode, "tenant");
    std::optional<Sandbox> before = hosts.start(network, "sleep 1d");
    const Attacker kept(*before);
    before.reset();

    std::thread speaker([&] {
      try {
        for (;;) kept.send(udp(kept.ipv4(), Hosts::kInner4, 9, "forged"));
      } catch (const std::system_error&) {
        // Its link has gone.
      }
    });
    network.allow = {sbx::Destination::parse(Hosts::kInner4)};
    const Sandbox after = hosts.start(network, "sleep 1d");
    speaker.join();
    say(hosts.host, Hosts::kInner4, 9, "settled");

    CHECK(inner.wait_for("settled"));
    CHECK(inner.heard("forged") == 0);
  }
}

TEST_CASE("who keeps the namespace of an ended sandbox is not in the way of the next of its name") {
  SBX_REQUIRE_ROOT();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Hosts hosts;
    const Listener internet(hosts.internet, Hosts::kInternet4, 80);
    const Sandbox other = hosts.start(hosts.network(mode), "sleep 1d");
    std::optional<Sandbox> sandbox = hosts.start(hosts.network(mode, "alice"), "sleep 1d");
    const Attacker kept(*sandbox);
    sandbox.reset();

    CHECK(hosts.say(hosts.network(mode, "alice"), reach(Hosts::kInternet4, 80)) == "reached\n");
    CHECK_THROWS(kept.send(udp(kept.ipv4(), Hosts::kInternet4, 9, "forged")));
  }
}

TEST_CASE("an owner who is killed at any moment leaves nothing that is in the way") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const std::string before = hosts.inventory();

  for (int microseconds = 0; microseconds < 60'000; microseconds += 4'000) {
    CAPTURE(microseconds);
    const pid_t owner = ::fork();
    if (owner == 0) {
      hosts.host.enter();
      ::ualarm(static_cast<useconds_t>(microseconds + 100), 0);
      for (;;) sbx::run(Hosts::spec(hosts.network(kBridge, "alice"), "true"));
    }
    ::waitpid(owner, nullptr, 0);

    // The sandbox may need a moment to notice the end of its owner.
    CHECK(wait_until([&] { return reaches_internet(hosts, "alice"); }));
    CHECK(hosts.comes_to(before));
  }
}

TEST_CASE("the bridge is made again when somebody has deleted it") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const Sandbox first = hosts.start(hosts.network(kBridge), "sleep 1d");
  hosts.host.run([] {
    sbx::Rtnetlink links;
    for (const std::string& name : links.names()) {
      if (name.ends_with("-bridge")) links.open(name).remove();
    }
  });

  CHECK(hosts.say(hosts.network(kBridge), reach(Hosts::kInternet4, 80)) == "reached\n");
  CHECK(hosts.say(hosts.network(kRouted), reach(Hosts::kInternet4, 80)) == "reached\n");
}

TEST_CASE("thousands of connections do not stop the end of a sandbox") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  Sandbox sandbox = hosts.start(hosts.network(), "sleep 1d");
  const Attacker attacker(sandbox);
  // None is over before the last has begun, on a slow machine either.
  set(hosts.host, "netfilter/nf_conntrack_udp_timeout", "600");
  // More than anybody may have who has asked for nothing else.
  for (std::uint16_t port = 10'000; port < 15'000; ++port) {
    attacker.send(udp(attacker.ipv4(), Hosts::kInternet4, 9, "one of many", {}, port));
    attacker.send(udp(attacker.ipv6(), Hosts::kInternet6, 9, "one of many", {}, port));
  }

  sandbox.kill();
  const auto report = sandbox.wait();

  REQUIRE(report.network);
  CHECK(report.network->internet4.sent.packets == Network{}.connections_max);
  CHECK(report.network->internet6.sent.packets == Network{}.connections_max);
  CHECK(hosts.inventory() == before);
  CHECK(setting(hosts.host, "netfilter/nf_conntrack_count") == "0");
}
