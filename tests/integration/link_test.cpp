// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <sbx/error.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "support/datagram.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::IpFamily;
using sbx::IpPrefix;
using sbx::Link;
using sbx::MacAddress;
using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::Route;
using sbx::Rtnetlink;
using sbx::SystemError;
using sbx::Veth;
using sbx::test::Datagrams;
using sbx::test::in_child;
using sbx::test::wait_until;

namespace {

constexpr uid_t kUser = 4242;
using Names = std::vector<std::string>;

IpAddress ip(const std::string& text) { return IpAddress::parse(text); }
IpPrefix block(const std::string& text) { return IpPrefix::parse(text); }
MacAddress mac(int last) { return {.bytes = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(last)}}; }

/// A namespace of the test's own, and the talk about its links.
struct Network {
  Namespace space = Namespace::create(NamespaceKind::kNet);
  Rtnetlink links{space};
};

/// Two of them, joined by "outer" in the one and "inner" in the other, and up.
struct Pair {
  Network one{};
  Network two{};
  Link outer = one.links.create({.name = "outer",
                                 .mac = mac(1),
                                 .peer_name = "inner",
                                 .peer_mac = mac(2),
                                 .peer_namespace = &two.space,
                                 .link_local = false});
  Link inner = two.links.open("inner");

  Pair(const std::string& outer_address, const std::string& inner_address) {
    outer.add_address(block(outer_address));
    inner.add_address(block(inner_address));
    outer.set_up();
    inner.set_up();
  }
};

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

short flags_of(const Namespace& network, const std::string& name) {
  return network.run([&name] {
    const sbx::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::copy(name.begin(), name.end(), request.ifr_name);
    if (::ioctl(fd.get(), SIOCGIFFLAGS, &request) < 0) throw std::runtime_error("no flags");
    return request.ifr_flags;
  });
}

/// Whether the kernel has noticed that both ends of it are up.
bool is_running(const Namespace& network, const std::string& name) {
  return (flags_of(network, name) & IFF_RUNNING) != 0;
}

/// The time that `size` bytes take through TCP from the one namespace to the other.
std::chrono::duration<double> time_to_send(const Namespace& from, const Namespace& to,
                                           const std::string& address, std::size_t size) {
  const sbx::test::SocketAddress there(address, 4243);
  const auto stream = [] {
    return sbx::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  };
  const sbx::UniqueFd listener = to.run(stream);
  REQUIRE(::bind(listener.get(), there.get(), there.size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  sbx::UniqueFd sender = from.run(stream);
  REQUIRE(::connect(sender.get(), there.get(), there.size) == 0);
  const sbx::UniqueFd receiver(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));

  const auto start = std::chrono::steady_clock::now();
  const std::vector<char> bytes(size);
  auto sent = std::async(std::launch::async, [&] {
    const auto all = ::send(sender.get(), bytes.data(), size, MSG_NOSIGNAL);
    sender.reset();
    return all;
  });
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(sender.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::vector<char> come(size);
  REQUIRE(::recv(receiver.get(), come.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
  REQUIRE(sent.get() == static_cast<ssize_t>(size));
  return std::chrono::steady_clock::now() - start;
}

void drop_capability(int capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  ::syscall(SYS_capget, &header, data.data());
  data[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
  ::syscall(SYS_capset, &header, data.data());
}

/// The errno of what `body` throws; 0 when it throws nothing.
template <typename F>
int errno_of(F body) {
  try {
    body();
  } catch (const SystemError& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("what is sent at one end of a veth pair comes out at the other") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);

  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  CHECK(there.reaches(here, "pong", "10.0.0.1"));
}

TEST_CASE("IPv6 addresses of a veth pair can be used at once") {
  SBX_REQUIRE_ROOT();
  Pair pair("fd00::1/64", "fd00::2/64");
  Datagrams here(pair.one.space, IpFamily::kIpv6);
  Datagrams there(pair.two.space, IpFamily::kIpv6);

  CHECK(here.reaches(there, "ping", "fd00::2"));
  CHECK(there.reaches(here, "pong", "fd00::1"));

  // One that is looked for at others first cannot be bound to for a second.
  pair.inner.add_address(block("fd00::3/64"));
  CHECK_NOTHROW(Datagrams(pair.two.space, "fd00::3", 4243));
}

TEST_CASE("both ends of a new veth pair are down, where they are wanted and as they are wanted") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;

  const Link outer = one.links.create({.name = "outer",
                                       .mac = mac(1),
                                       .peer_name = "inner",
                                       .peer_mac = mac(2),
                                       .peer_namespace = &two.space});

  CHECK(one.links.names() == Names{"lo", "outer"});
  CHECK(two.links.names() == Names{"lo", "inner"});
  CHECK_FALSE(outer.is_up());
  CHECK_FALSE(two.links.open("inner").is_up());
  CHECK(outer.name() == "outer");
  CHECK(outer.mac() == mac(1));
  CHECK(two.links.open("inner").mac() == mac(2));
  CHECK((flags_of(one.space, "outer") & IFF_NOARP) == 0);
}

TEST_CASE("a veth pair can have both ends in one namespace") {
  SBX_REQUIRE_ROOT();
  Network one;

  const Link outer =
      one.links.create({.name = "a", .peer_name = "b", .arp = false, .link_local = false});

  CHECK(one.links.find("b"));
  CHECK((flags_of(one.space, "a") & IFF_NOARP) != 0);
  CHECK((flags_of(one.space, "b") & IFF_NOARP) == 0);
}

TEST_CASE("a link gives itself an IPv6 address unless it is not to") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;
  Link with = one.links.create({.name = "with", .peer_name = "in", .peer_namespace = &two.space});
  with.set_up();
  two.links.open("in").set_up();

  CHECK(wait_until([&] { return with.addresses().size() == 1; }));
  CHECK(block("fe80::/10").contains(with.addresses().at(0)));

  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  CHECK(wait_until([&] { return is_running(pair.one.space, "outer"); }));
  CHECK(wait_until([&] { return is_running(pair.two.space, "inner"); }));
  CHECK(pair.outer.is_up());  // and with this the kernel has done what it does then
  CHECK(pair.inner.is_up());

  CHECK(pair.outer.addresses() == std::vector{block("10.0.0.1/24")});
  CHECK(pair.inner.addresses() == std::vector{block("10.0.0.2/24")});
}

TEST_CASE("a link goes with its handle, and its peer with it") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;

  {
    Link outer =
        one.links.create({.name = "outer", .peer_name = "inner", .peer_namespace = &two.space});
    const Link moved = std::move(outer);
    const Link bridge = one.links.create_bridge("bridge");
    CHECK(one.links.names() == Names{"lo", "outer", "bridge"});
  }

  CHECK(one.links.names() == Names{"lo"});
  CHECK(two.links.names() == Names{"lo"});
}

TEST_CASE("a link that is released, or was only found, stays") {
  SBX_REQUIRE_ROOT();
  Network one;

  one.links.create_bridge("bridge").release();
  one.links.open("bridge").set_up();
  CHECK(one.links.open("bridge").is_up());

  one.links.open("bridge").remove();
  CHECK_FALSE(one.links.find("bridge"));
}

TEST_CASE("a handle that is assigned to removes its link, and one whose link is gone is silent") {
  SBX_REQUIRE_ROOT();
  Network one;
  Link bridge = one.links.create_bridge("one");

  bridge = one.links.create_bridge("two");
  CHECK(one.links.names() == Names{"lo", "two"});

  one.links.open("two").remove();
  CHECK(one.links.names() == Names{"lo"});
}

TEST_CASE("a link is removed when its making fails half way") {
  SBX_REQUIRE_ROOT();

  // Without CAP_SYS_ADMIN the peer can be made, but not told to have no address.
  CHECK(
      in_child([]() -> std::string {
        Network one;
        const Namespace two = Namespace::create(NamespaceKind::kNet);
        drop_capability(CAP_SYS_ADMIN);
        std::string said;
        try {
          one.links.create(
              {.name = "outer", .peer_name = "inner", .peer_namespace = &two, .link_local = false});
        } catch (const SystemError& error) {
          said = error.what();
        }
        return said + ", " + std::to_string(one.links.names().size());
      }) == "cannot enter the net namespace made by this process: Operation not permitted, 1");
}

TEST_CASE("making links leaves no descriptor behind") {
  SBX_REQUIRE_ROOT();
  const auto before = sbx::test::open_fds();

  { const Pair pair("10.0.0.1/24", "10.0.0.2/24"); }

  CHECK(sbx::test::open_fds() == before);
}

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

TEST_CASE("a neighbour need not be asked for his Ethernet address") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;
  Link outer = one.links.create({.name = "outer",
                                 .mac = mac(1),
                                 .peer_name = "inner",
                                 .peer_namespace = &two.space,
                                 .arp = false});
  Link inner = two.links.open("inner");
  outer.add_address(block("10.0.0.1/24"));
  inner.add_address(block("10.0.0.2/24"));
  outer.set_up();
  inner.set_up();
  Datagrams here(one.space, IpFamily::kIpv4);
  Datagrams there(two.space, IpFamily::kIpv4);

  inner.add_neighbour(ip("10.0.0.1"), mac(1));
  CHECK(there.reaches(here, "ping", "10.0.0.1"));

  CHECK_THROWS_WITH_AS(inner.add_neighbour(ip("10.0.0.1"), mac(3)),
                       "cannot add the neighbour '10.0.0.1' of 'inner': File exists", SystemError);
  inner.remove_neighbour(ip("10.0.0.1"));
  CHECK(errno_of([&] { inner.remove_neighbour(ip("10.0.0.1")); }) == ENOENT);
}

TEST_CASE("a route leads through a gateway that no address of the link is beside") {
  SBX_REQUIRE_ROOT();
  Pair pair("169.254.1.1/32", "10.0.0.2/32");
  const Route gateway{block("0.0.0.0/0"), ip("169.254.1.1"), true};
  const Route back{block("10.0.0.2/32"), {}, false};
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);
  pair.outer.add_address(block("203.0.113.7/32"));
  CHECK(there.send("lost", "203.0.113.7") == ENETUNREACH);

  pair.outer.add_route(back);
  pair.inner.add_route(gateway);
  CHECK(there.reaches(here, "ping", "203.0.113.7"));
  CHECK(here.reaches(there, "pong", "10.0.0.2"));
  CHECK(pair.outer.routes() == std::vector{back});
  CHECK(pair.inner.routes() == std::vector{gateway});

  pair.inner.remove_route(gateway);
  CHECK(pair.inner.routes().empty());
  CHECK(there.send("lost", "203.0.113.7") == ENETUNREACH);
}

TEST_CASE("an IPv6 route leads through a gateway") {
  SBX_REQUIRE_ROOT();
  Pair pair("fd00::1/64", "fd00::2/64");
  const Route gateway{block("::/0"), ip("fd00::1"), false};

  pair.inner.add_route(gateway);

  CHECK(pair.inner.routes() == std::vector{Route{block("fd00::/64"), {}, false}, gateway});
  pair.inner.remove_route(gateway);
  CHECK(pair.inner.routes() == std::vector{Route{block("fd00::/64"), {}, false}});

  pair.inner.remove_route(pair.inner.routes().at(0));  // the kernel's own
  CHECK(pair.inner.routes().empty());
}

TEST_CASE("the destinations are those of all links, each once, without the default") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.1.2.3/8", "10.0.0.2/8");
  Link other = pair.one.links.create({.name = "a", .peer_name = "b", .link_local = false});
  other.set_up();
  pair.outer.add_route({.destination = block("0.0.0.0/0"), .gateway = ip("10.0.0.2")});
  pair.outer.add_address(block("fd00::1/64"));
  other.add_address(block("192.0.2.1/24"));
  other.add_address(block("fd00::2/64"));

  CHECK(pair.one.links.destinations() ==
        std::vector{block("10.0.0.0/8"), block("192.0.2.0/24"), block("fd00::/64")});
}

TEST_CASE("addresses come and go") {
  SBX_REQUIRE_ROOT();
  Network one;
  Link bridge = one.links.create_bridge("bridge");

  bridge.add_address(block("10.0.0.1/24"));
  bridge.add_address(block("fd00::1/128"));
  CHECK(bridge.addresses() == std::vector{block("10.0.0.1/24"), block("fd00::1/128")});

  bridge.remove_address(block("10.0.0.1/24"));
  CHECK(bridge.addresses() == std::vector{block("fd00::1/128")});
}

TEST_CASE("statistics count what has passed, with its Ethernet header") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);
  pair.outer.add_neighbour(ip("10.0.0.2"), mac(2));
  pair.inner.add_neighbour(ip("10.0.0.1"), mac(1));
  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  const auto before = pair.outer.statistics();
  const auto before_there = pair.inner.statistics();

  CHECK(here.send(std::string(100, 'x'), "10.0.0.2") == 0);
  CHECK(there.receives(std::string(100, 'x'), std::chrono::seconds(10)));

  const auto after = pair.outer.statistics();
  CHECK(after.tx_packets >= before.tx_packets + 1);
  CHECK(after.tx_bytes >= before.tx_bytes + 14 + 20 + 8 + 100);
  CHECK(pair.inner.statistics().rx_packets >= before_there.rx_packets + 1);
  CHECK(pair.inner.statistics().rx_bytes >= before_there.rx_bytes + 14 + 20 + 8 + 100);
}

TEST_CASE("no more goes out of a link than its limit lets") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);
  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  const auto seconds = [&pair](std::size_t size) {
    return time_to_send(pair.one.space, pair.two.space, "10.0.0.2", size).count();
  };

  // Half a megabyte in a second, after 73,728 bytes at once.
  pair.outer.limit_rate(4'000'000);
  CHECK(seconds(600'000) >= 1);

  // A limit takes the place of the one before. Of this one 32 bits would hold 1000 bytes, after 17
  // megabytes at once.
  pair.outer.limit_rate(8 * ((std::uint64_t{1} << 32U) + 1000));
  CHECK(seconds(30'000'000) < 20);
}

TEST_CASE("a limit can be lifted, also where there is none") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);

  pair.outer.limit_rate(0);
  pair.outer.limit_rate(1);
  pair.outer.limit_rate(0);
  pair.outer.limit_rate(0);

  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  CHECK(time_to_send(pair.one.space, pair.two.space, "10.0.0.2", 600'000).count() < 10);
}

TEST_CASE("a link can be set down, and its frames made larger") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  CHECK(pair.outer.is_up());
  CHECK(pair.outer.mtu() == 1500);

  pair.outer.set_down();
  pair.outer.set_mtu(9000);

  CHECK_FALSE(pair.outer.is_up());
  CHECK(pair.outer.mtu() == 9000);
  CHECK(pair.inner.is_up());
}

TEST_CASE("a link is found by its name alone") {
  SBX_REQUIRE_ROOT();
  const Network one;

  CHECK(one.links.open("lo").index() == 1);
  CHECK(one.links.open("lo").mac() == MacAddress{});
  CHECK_FALSE(one.links.find("absent"));
  CHECK_FALSE(one.links.find(""));
  CHECK_FALSE(one.links.find("a name that is too long"));
  CHECK_THROWS_WITH_AS((void)one.links.open("absent"),
                       "cannot find the link 'absent': No such device", SystemError);
  CHECK_THROWS_WITH_AS((void)one.links.open("a name that is too long"),
                       "cannot find the link 'a name that is too long': No such device",
                       SystemError);
}

TEST_CASE("a conversation is about the namespace that its socket was made in") {
  SBX_REQUIRE_ROOT();
  const Network one;
  const Link bridge = Rtnetlink(one.space).create_bridge("bridge");

  const auto names = [] { return Rtnetlink().names(); };
  const auto socket = [] {
    return sbx::UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  };

  CHECK(one.space.run(names) == Names{"lo", "bridge"});
  CHECK(Rtnetlink(one.space.run(socket)).names() == Names{"lo", "bridge"});
}

TEST_CASE("a name that no link can have is refused before anything is sent") {
  SBX_REQUIRE_ROOT();
  Network one;
  const auto make = [&one](const std::string& name) { one.links.create_bridge(name); };

  CHECK_THROWS_WITH_AS(make("a b"),
                       "cannot name a link 'a b': a name has 1 to 15 bytes, none of them a blank "
                       "or one of '/:%'",
                       std::invalid_argument);
  CHECK_THROWS_AS(make(""), std::invalid_argument);
  CHECK_THROWS_AS(make("0123456789abcdef"), std::invalid_argument);
  CHECK_THROWS_AS(make("a/b"), std::invalid_argument);
  CHECK_THROWS_AS(make("a:b"), std::invalid_argument);
  CHECK_THROWS_AS(make("a%d"), std::invalid_argument);
  CHECK_THROWS_AS(make("a\tb"), std::invalid_argument);
  CHECK_THROWS_AS(make(".."), std::invalid_argument);
  CHECK_THROWS_AS(make(std::string("a\0b", 3)), std::invalid_argument);
  CHECK_THROWS_AS(one.links.create({.name = "a", .peer_name = ""}), std::invalid_argument);
  CHECK_NOTHROW(make("0123456789abcde"));
  CHECK(one.links.names() == Names{"lo"});
}

TEST_CASE("a link whose name is taken is not made, and the one that has it is left alone") {
  SBX_REQUIRE_ROOT();
  Network one;
  Network two;
  const Link bridge = one.links.create_bridge("taken");

  CHECK_THROWS_WITH_AS(one.links.create_bridge("taken"),
                       "cannot create the bridge 'taken': File exists", SystemError);
  CHECK_THROWS_WITH_AS(one.links.create({.name = "taken", .peer_name = "peer"}),
                       "cannot create the veth pair 'taken' and 'peer': File exists", SystemError);
  CHECK_THROWS_WITH_AS(
      two.links.create({.name = "new", .peer_name = "taken", .peer_namespace = &one.space}),
      "cannot create the veth pair 'new' and 'taken': File exists", SystemError);

  CHECK(one.links.names() == Names{"lo", "taken"});
  CHECK(two.links.names() == Names{"lo"});
}

TEST_CASE("the kernel's own words are in the message") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Link& link = pair.outer;

  CHECK_THROWS_WITH_AS(
      link.add_route({block("0.0.0.0/0"), ip("192.0.2.1"), false}),
      "cannot add the route to '0.0.0.0/0' by '192.0.2.1' through 'outer': Network "
      "is unreachable; Nexthop has invalid gateway",
      SystemError);
  CHECK_THROWS_WITH_AS(link.add_route({block("10.1.2.3/8"), {}, false}),
                       "cannot add the route to '10.1.2.3/8' through 'outer': Invalid argument; "
                       "Invalid prefix for given prefix length",
                       SystemError);
  CHECK_THROWS_WITH_AS(link.set_mtu(20),
                       "cannot set the MTU of 'outer' to 20: Invalid argument; mtu less than "
                       "device minimum",
                       SystemError);
  CHECK(link.mtu() == 1500);
}

TEST_CASE("what is there already, or is not there, is told by errno") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Link& link = pair.outer;
  const Route route{block("192.0.2.0/24"), ip("10.0.0.2"), false};
  link.add_route(route);

  CHECK(errno_of([&] { link.add_address(block("10.0.0.1/24")); }) == EEXIST);
  CHECK(errno_of([&] { link.remove_address(block("10.0.0.9/24")); }) == EADDRNOTAVAIL);
  CHECK(errno_of([&] { link.add_route(route); }) == EEXIST);
  CHECK(errno_of([&] { link.remove_route({block("198.51.100.0/24"), {}, false}); }) == ESRCH);
  CHECK(errno_of([&] { link.join(pair.one.links.open("lo")); }) == EOPNOTSUPP);
  CHECK_THROWS_WITH_AS(link.add_route({block("fd00::/64"), ip("10.0.0.2"), false}),
                       "'10.0.0.2' cannot be a gateway to 'fd00::/64': one is an IPv4 address, one "
                       "IPv6",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(link.add_address({.address = ip("10.0.0.1"), .length = 33}),
                       "'10.0.0.1/33' is no block of addresses: its length is a number from 0 to "
                       "32",
                       std::invalid_argument);
}

TEST_CASE("a link that is gone is no longer to be changed") {
  SBX_REQUIRE_ROOT();
  Network one;
  Link bridge = one.links.create_bridge("bridge");
  one.links.open("bridge").remove();

  CHECK_THROWS_WITH_AS(bridge.set_up(), "cannot set 'bridge' up: No such device", SystemError);
  CHECK_THROWS_WITH_AS((void)bridge.mtu(), "cannot read the link 'bridge': No such device",
                       SystemError);
  CHECK_THROWS_WITH_AS(bridge.remove(), "cannot remove the link 'bridge': No such device",
                       SystemError);
  CHECK(errno_of([&] { bridge.add_address(block("10.0.0.1/8")); }) == ENODEV);
  CHECK(errno_of([&] { bridge.limit_rate(1000); }) == ENODEV);
}

TEST_CASE("an ordinary user can look at links, but not change them") {
  SBX_REQUIRE_ROOT();
  const auto as_user = [](const auto& body) {
    return in_child([&body]() -> std::string {
      Namespace::create(NamespaceKind::kNet).enter();
      sbx::test::become_user(kUser);
      Rtnetlink links;
      return body(links);
    });
  };

  CHECK(as_user([](Rtnetlink& links) { return links.names().at(0); }) == "lo");
  CHECK(as_user([](Rtnetlink& links) { return links.create_bridge("bridge").name(); }) ==
        "cannot create the bridge 'bridge': Operation not permitted");
  CHECK(as_user([](Rtnetlink& links) {
          links.open("lo").set_up();
          return std::string("up");
        }) == "cannot set 'lo' up: Operation not permitted");
}
