// SPDX-License-Identifier: Apache-2.0
//
// Who reaches whom, over both shapes and both families.
#include <doctest/doctest.h>

#include <string>

#include "network/hosts.hpp"
#include "support/pasta.hpp"
#include "support/require.hpp"

using sbx::Destination;
using sbx::IpFamily;
using sbx::Network;
using sbx::Sandbox;
using sbx::test::address_of;
using sbx::test::can_connect;
using sbx::test::Hosts;
using sbx::test::kModes;
using sbx::test::Listener;
using sbx::test::reach;
using sbx::test::Transport;
using enum sbx::Network::Mode;

namespace {

/// A service inside a sandbox, by a program that everybody has.
constexpr const char* kServe = R"(exec perl -MSocket -e '
  for my $family (AF_INET, AF_INET6) {
    socket(my $socket, $family, SOCK_STREAM, 0) or die;
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    setsockopt($socket, 41, 26, 1) if $family == AF_INET6;  # IPV6_V6ONLY
    bind($socket, $family == AF_INET ? sockaddr_in(6379, INADDR_ANY)
                                     : sockaddr_in6(6379, "\0" x 16)) or die;
    listen($socket, 64);
    push @sockets, $socket;
  }
  sleep')";

/// Runs `script` as Hosts::say() does, on a host whose resolv.conf is that.
std::string say_with_servers(const Hosts& hosts, const std::string& resolv_conf,
                             const Network& network, const std::string& script) {
  return hosts.with_resolv_conf(resolv_conf,
                                [&] { return sbx::run(Hosts::spec(network, script)).out; });
}

}  // namespace

TEST_CASE("a sandbox reaches the internet, and comes from the host's address there") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener v4(hosts.internet, Hosts::kInternet4, 80);
  const Listener v6(hosts.internet, Hosts::kInternet6, 80);
  const Listener udp(hosts.internet, Hosts::kInternet4, 53, Transport::kUdp);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    CHECK(hosts.say(hosts.network(mode), reach(Hosts::kInternet4, 80) +
                                             reach(Hosts::kInternet6, 80) +
                                             reach(Hosts::kInternet4, 53, Transport::kUdp)) ==
          "reached\nreached\nreached\n");
    CHECK(v4.wait_for_visitor() == Hosts::kHost4);
    CHECK(v6.wait_for_visitor() == Hosts::kHost6);
    CHECK(udp.wait_for_visitor() == Hosts::kHost4);
  }
}

TEST_CASE("private addresses, the host and the provider's network are out of reach") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener inner4(hosts.inner, Hosts::kInner4, 5432);
  const Listener inner6(hosts.inner, Hosts::kInner6, 5432);
  const Listener host4(hosts.host, "0.0.0.0", 22);
  sbx::Rtnetlink on_internet(hosts.internet);
  on_internet.open("lo").add_address(sbx::IpPrefix::parse("169.254.169.254"));
  const Listener metadata(hosts.internet, "169.254.169.254", 80);
  REQUIRE(can_connect(hosts.host, "169.254.169.254", 80));

  for (const auto mode : kModes) {
    CAPTURE(mode);
    CHECK(hosts.say(hosts.network(mode), reach(Hosts::kInner4, 5432) + reach(Hosts::kInner6, 5432) +
                                             reach(Hosts::kHost4, 22) + reach("10.213.0.1", 22) +
                                             reach(Hosts::kHostInner4, 22) +
                                             reach("169.254.169.254", 80)) ==
          "no\nno\nno\nno\nno\nno\n");
    CHECK(inner4.visitor().empty());
    CHECK(inner6.visitor().empty());
    CHECK(host4.visitor().empty());
  }
}

TEST_CASE("one sandbox does not reach another") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  for (const auto mode : kModes) {
    for (const auto other_mode : kModes) {
      CAPTURE(mode);
      CAPTURE(other_mode);
      const Sandbox other = hosts.start(hosts.network(other_mode), kServe);
      const std::string v4 = address_of(other, IpFamily::kIpv4);
      const std::string v6 = address_of(other, IpFamily::kIpv6);
      REQUIRE(!v4.empty());

      CHECK(hosts.say(hosts.network(mode), reach(v4, 6379) + reach(v6, 6379)) == "no\nno\n");
    }
  }
}

TEST_CASE("what is allowed is reached, and only that") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener inner(hosts.inner, Hosts::kInner4, 5432);
  const Listener inner6(hosts.inner, Hosts::kInner6, 5432);
  const Listener other(hosts.inner, Hosts::kInner4, 5433);
  const Listener host(hosts.host, "0.0.0.0", 22);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    Network network = hosts.network(mode);
    network.allow = {Destination::parse("10.9.8.0/24:5432"), Destination::parse("[fd99::7]:5432"),
                     Destination::parse("198.51.100.2:22")};
    CHECK(hosts.say(network, reach(Hosts::kInner4, 5432) + reach(Hosts::kInner6, 5432) +
                                 reach(Hosts::kInner4, 5433) + reach(Hosts::kHost4, 22) +
                                 reach("10.213.0.1", 22)) == "reached\nreached\nno\nreached\nno\n");
  }
}

TEST_CASE("of two blocks the narrower one decides") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const Listener tls(hosts.internet, Hosts::kInternet4, 443);
  const Listener inner(hosts.inner, Hosts::kInner4, 80);
  Network network = hosts.network();
  network.deny = {Destination::parse("0.0.0.0/0"), Destination::parse("10.9.8.7"),
                  Destination::parse("203.0.113.80:443")};
  network.allow = {Destination::parse("203.0.113.80"), Destination::parse("10.0.0.0/8")};

  CHECK(hosts.say(network, reach(Hosts::kInternet4, 80) + reach(Hosts::kInternet4, 443) +
                               reach(Hosts::kInner4, 80)) == "reached\nno\nno\n");
}

TEST_CASE("without the internet only what is allowed is reached") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const Listener inner(hosts.inner, Hosts::kInner4, 80);
  Network network = hosts.network();
  network.internet = false;
  network.allow = {Destination::parse("10.9.8.7:80")};

  CHECK(hosts.say(network, reach(Hosts::kInternet4, 80) + reach(Hosts::kInner4, 80)) ==
        "no\nreached\n");
}

TEST_CASE("an allowed block around other sandboxes and the host does not open them") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener host(hosts.host, "0.0.0.0", 22);
  const Sandbox other = hosts.start(hosts.network(), kServe);
  const std::string address = address_of(other, IpFamily::kIpv4);
  Network network = hosts.network();
  network.allow = {Destination::parse("10.0.0.0/8")};

  CHECK(hosts.say(network, reach(address, 6379) + reach(Hosts::kHostInner4, 22)) == "no\nno\n");
  network.allow.push_back(Destination::parse(address + ":6379"));
  CHECK(hosts.say(network, reach(address, 6379)) == "reached\n");
}

TEST_CASE("names are asked for at the host's servers, where they answer") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener server4(hosts.inner, Hosts::kInner4, 53);
  const Listener server6(hosts.inner, Hosts::kInner6, 53);
  const Listener udp(hosts.inner, Hosts::kInner4, 53, Transport::kUdp);
  const Listener other(hosts.inner, Hosts::kInner4, 5432);
  const std::string both = reach(Hosts::kInner4, 53) + reach(Hosts::kInner6, 53);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    // What somebody before has found does not hold for who comes after.
    const Sandbox before = hosts.start(hosts.network(mode), "sleep 1d");
    CHECK(say_with_servers(hosts, "search example.org\nnameserver 10.9.8.7\n", hosts.network(mode),
                           "cat /etc/resolv.conf; grep -c localhost /etc/hosts; " + both +
                               reach(Hosts::kInner4, 53, Transport::kUdp) +
                               reach(Hosts::kInner4, 5432)) ==
          "search example.org\nnameserver 10.9.8.7\n2\nreached\nno\nreached\nno\n");
    CHECK_FALSE(udp.wait_for_visitor().empty());
    CHECK(say_with_servers(hosts, "nameserver fd99::7\n", hosts.network(mode), both) ==
          "no\nreached\n");
  }
}

TEST_CASE("a name server on the host's loopback is asked at an address of its own") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener stub(hosts.host, "127.0.0.53", 53);
  const Listener udp(hosts.host, "127.0.0.53", 53, Transport::kUdp);
  const Listener other(hosts.host, "127.0.0.53", 5432);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    CHECK(say_with_servers(hosts, "nameserver 127.0.0.53\n", hosts.network(mode),
                           "cat /etc/resolv.conf; " + reach("169.254.1.53", 53) +
                               reach("169.254.1.53", 53, Transport::kUdp) +
                               reach("169.254.1.53", 5432)) ==
          "nameserver 169.254.1.53\nreached\nreached\nno\n");
    CHECK_FALSE(udp.wait_for_visitor().empty());
  }
}

TEST_CASE("by pasta a sandbox reaches whom its caller reaches, and none of his own services") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_PASTA();
  const Hosts hosts;
  const Listener v4(hosts.internet, Hosts::kInternet4, 80);
  const Listener v6(hosts.internet, Hosts::kInternet6, 80);
  const Listener udp(hosts.internet, Hosts::kInternet4, 53, Transport::kUdp);
  const Listener inner(hosts.inner, Hosts::kInner4, 5432);
  const Listener loopback(hosts.host, "127.0.0.1", 6379);
  const Listener own(hosts.host, Hosts::kHost4, 22);

  const std::string said =
      hosts.say({.mode = kUser}, reach(Hosts::kInternet4, 80) + reach(Hosts::kInternet6, 80) +
                                     reach(Hosts::kInternet4, 53, Transport::kUdp) +
                                     reach(Hosts::kInner4, 5432) + reach("127.0.0.1", 6379) +
                                     reach(Hosts::kHost4, 22));

  CHECK(said == "reached\nreached\nreached\nreached\nno\nno\n");
  CHECK(v4.wait_for_visitor() == Hosts::kHost4);
}
