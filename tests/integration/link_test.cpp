// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "integration/links.hpp"
#include "sbx/error.hpp"
#include "support/child.hpp"
#include "support/datagram.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using sbx::Link;
using sbx::MacAddress;
using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::Rtnetlink;
using sbx::SystemError;
using sbx::test::block;
using sbx::test::Datagrams;
using sbx::test::in_child;
using sbx::test::ip;
using sbx::test::mac;
using sbx::test::Names;
using sbx::test::Network;
using sbx::test::Pair;
using sbx::test::wait_until;

namespace {

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

/// A longer name that the link has besides: IFLA_ALT_IFNAME.
void add_other_name(const Namespace& network, int index, const std::string& name) {
  struct {
    nlmsghdr header{};
    ifinfomsg link{};
    std::array<char, 256> attributes{};
  } message;
  const auto put = [&](std::size_t at, std::size_t size, int type) {
    const rtattr head{.rta_len = static_cast<unsigned short>(RTA_LENGTH(size)),
                      .rta_type = static_cast<unsigned short>(type)};
    std::memcpy(message.attributes.data() + at, &head, sizeof head);
  };
  const std::size_t inner = RTA_SPACE(name.size() + 1);
  put(0, inner, IFLA_PROP_LIST | NLA_F_NESTED);
  put(RTA_LENGTH(0), name.size() + 1, IFLA_ALT_IFNAME);
  name.copy(message.attributes.data() + 2 * RTA_LENGTH(0), name.size());
  message.link.ifi_index = index;
  message.header.nlmsg_type = RTM_NEWLINKPROP;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND;
  message.header.nlmsg_len = NLMSG_LENGTH(sizeof message.link) + RTA_LENGTH(inner);
  network.run([&message] {
    const sbx::UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    nlmsgerr answer[8]{};
    if (::send(fd.get(), &message, message.header.nlmsg_len, 0) < 0 ||
        ::recv(fd.get(), answer, sizeof answer, 0) < 0) {
      throw std::runtime_error("cannot talk about links");
    }
    const auto* error =
        reinterpret_cast<const nlmsgerr*>(reinterpret_cast<char*>(answer) + NLMSG_HDRLEN);
    if (error->error != 0) throw std::runtime_error("no other name");
  });
}

void drop_capability(int capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  ::syscall(SYS_capget, &header, data.data());
  data[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
  ::syscall(SYS_capset, &header, data.data());
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

TEST_CASE("a link is found whose description is long") {
  SBX_REQUIRE_ROOT();
  Network one;
  Link link = one.links.create_bridge("bridge");
  const int index = link.index();
  for (int i = 0; i < 400; ++i)
    add_other_name(one.space, index, std::string(110, 'a') + std::to_string(i));

  CHECK(one.links.open("bridge").index() == index);
}
