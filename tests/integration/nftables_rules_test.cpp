// SPDX-License-Identifier: Apache-2.0
//
// What rules do to real packets: what they ask of them, and what they do with them.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>

#include "integration/filtered_loopback.hpp"
#include "sbx/link.hpp"
#include "sbx/nftables.hpp"
#include "support/loopback.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::IpPrefix;
using namespace sbx::nft;
using namespace sbx::test;

namespace {

/// Waits until the counter has counted as many packets: those at the input are not on their way
/// any more when it has.
Counter count_of(const FilteredLoopback& own, const std::string& name, std::uint64_t packets) {
  wait_until([&] { return own.counted(name).packets >= packets; }, std::chrono::seconds(20));
  return own.counted(name);
}

}  // namespace

TEST_CASE("nftables: what a rule drops does not pass, and the rest does") {
  SBX_REQUIRE_ROOT();
  const FilteredLoopback own;
  Nftables(own.network)
      .commit(
          Batch().add(kTable, "out", Rule().equals(Field::kDestinationPort, port(kPort)).drop()));

  CHECK(own.here.send("127.0.0.1", kPort) == EPERM);
  CHECK(own.here.send("127.0.0.1", kOther) == 0);
}

TEST_CASE("nftables: a rule can ask for the group that a link was made in") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  sbx::Rtnetlink links(own.network);
  sbx::Link link = links.create(
      {.name = "near", .group = 0x736278, .peer_name = "far", .arp = false, .link_local = false});
  link.add_address(IpPrefix::parse("10.0.0.1/24"));
  link.set_up();
  links.open("far").set_up();
  const DatagramSocket sender(own.network, "10.0.0.1", 6001);
  const Value group = Value().add_number(0x736278);
  const Rule sent = Rule().equals(Field::kDestinationPort, port(kOther));
  own.count_by("in it", Rule(sent).equals(Field::kOutputGroup, group));
  own.count_by("in no group", Rule(sent).equals(Field::kOutputGroup, Value().add_number(0)));

  CHECK(sender.send("10.0.0.2", kOther) == 0);
  CHECK(own.here.send("127.0.0.1", kOther) == 0);

  CHECK(own.counted("in it").packets == 1);
  CHECK(own.counted("in no group").packets == 1);
}

TEST_CASE("nftables: a rule that accepts ends the chain") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.add(Rule().equals(Field::kDestination4, address("127.0.0.1")).accept());
  own.add(Rule().drop());

  CHECK(own.passes("127.0.0.1"));
  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(!own.passes("127.0.0.2"));
}

TEST_CASE("nftables: a base chain can drop what no rule decides") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.commit(Batch().add(kTable, Chain{"strict", BaseChain{.hook = Hook::kOutput, .drops = true}}));

  CHECK(!own.passes("127.0.0.1"));
}

TEST_CASE("nftables: a chain at the input sees what comes") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const Chain input{"in", BaseChain{.hook = Hook::kInput}};
  own.commit(Batch()
                 .add(kTable, input)
                 .add_counter(kTable, "came")
                 .add(kTable, "in",
                      Rule()
                          .equals(Field::kInputName, Value().add_name("lo"))
                          .equals(Field::kInput, Value().add_number(1))
                          .equals(Field::kProtocol, udp())
                          .counter("came")
                          .drop()));

  CHECK(own.passes("127.0.0.1"));
  CHECK(own.passes("127.0.0.1"));

  CHECK(count_of(own, "came", 2) == Counter{2, 2 * kSize4});
}

TEST_CASE("nftables: a counter counts packets and the bytes of the network layer") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const DatagramSocket here6(own.network, "::1", 6000);
  own.count_by("four", Rule().equals(Field::kSource4, address("127.0.0.1")));
  own.count_by("six", Rule().equals(Field::kDestination6, address("::1")));
  own.count_by("both", Rule().equals(Field::kProtocol, udp()));
  const DatagramSocket there6(own.network, "::1", kPort);

  CHECK(own.here.send_many(3, "127.0.0.1", kPort) == 3);
  CHECK(here6.send_many(2, "::1", kPort) == 2);

  CHECK(own.counted("four") == Counter{3, 3 * kSize4});
  CHECK(own.counted("six") == Counter{2, 2 * kSize6});
  CHECK(own.counted("both") == Counter{5, 3 * kSize4 + 2 * kSize6});
}

TEST_CASE("nftables: blocks of addresses are told apart at every length") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const auto block = [](const char* text) { return IpPrefix::parse(text); };
  own.count_by("whole bytes", Rule().within(Field::kDestination4, block("127.0.0.0/24")));
  own.count_by("some bits", Rule().within(Field::kDestination4, block("127.0.0.4/30")));
  own.count_by("one", Rule().within(Field::kDestination4, block("127.0.0.5")));
  own.count_by("all", Rule().within(Field::kDestination4, block("0.0.0.0/0")));
  own.count_by("outside", Rule().outside(Field::kDestination4, block("127.0.0.4/30")));
  own.count_by("outside all", Rule().outside(Field::kDestination4, block("0.0.0.0/0")));
  own.add(Rule().drop());

  CHECK(!own.passes("127.0.0.4"));
  CHECK(!own.passes("127.0.0.5"));
  CHECK(!own.passes("127.0.0.8"));
  CHECK(!own.passes("127.0.1.5"));

  CHECK(own.counted("whole bytes").packets == 3);
  CHECK(own.counted("some bits").packets == 2);
  CHECK(own.counted("one").packets == 1);
  CHECK(own.counted("all").packets == 4);
  CHECK(own.counted("outside").packets == 2);
  CHECK(own.counted("outside all").packets == 0);
}

TEST_CASE("nftables: blocks of IPv6 addresses hold for no IPv4 packet") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const DatagramSocket here6(own.network, "::1", 6000);
  own.count_by("within", Rule().within(Field::kDestination6, IpPrefix::parse("::/13")));
  own.count_by("outside", Rule().outside(Field::kDestination6, IpPrefix::parse("fe80::/10")));
  own.count_by("outside four", Rule().outside(Field::kSource4, IpPrefix::parse("10.0.0.0/8")));
  own.add(Rule().drop());
  const std::string text(50, 'x');  // so long that the other family's packets have such bytes, too

  CHECK(here6.send("::1", kPort, text) == EPERM);
  CHECK(own.here.send("127.0.0.1", kPort, text) == EPERM);

  CHECK(own.counted("within") == Counter{1, kSize6 + 40});
  CHECK(own.counted("outside") == Counter{1, kSize6 + 40});
  CHECK(own.counted("outside four") == Counter{1, kSize4 + 40});
}

TEST_CASE("nftables: an interface is known by its name and the start of it") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.count_by("name", Rule().equals(Field::kOutputName, Value().add_name("lo")));
  own.count_by("start", Rule().starts_with(Field::kOutputName, "l"));
  own.count_by("not name", Rule().differs(Field::kOutputName, Value().add_name("l")));
  own.count_by("not start", Rule().starts_otherwise(Field::kOutputName, "l"));
  own.count_by("number", Rule().equals(Field::kOutput, Value().add_number(1)));

  CHECK(own.passes("127.0.0.1"));

  CHECK(own.counted("name").packets == 1);
  CHECK(own.counted("start").packets == 1);
  CHECK(own.counted("not name").packets == 1);
  CHECK(own.counted("not start").packets == 0);
  CHECK(own.counted("number").packets == 1);
}

TEST_CASE("nftables: the family and the kind of destination are known") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.count_by("four", Rule().equals(Field::kFamily, Value().add_byte(2)));
  own.count_by("six", Rule().equals(Field::kFamily, Value().add_byte(10)));
  own.count_by("local", Rule().equals(Field::kDestinationType, Value().add_number(2)));
  own.count_by("multicast", Rule().equals(Field::kDestinationType, Value().add_number(5)));
  own.add(Rule().drop());

  CHECK(!own.passes("127.0.0.1"));
  CHECK(!own.passes("224.0.0.1"));

  CHECK(own.counted("four").packets == 2);
  CHECK(own.counted("six").packets == 0);
  CHECK(own.counted("local").packets == 1);
  CHECK(own.counted("multicast").packets == 1);
}

TEST_CASE("nftables: a mark that a rule sets is there for the next") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.count_by("before", Rule().equals(Field::kMark, Value().add_number(0x102)));
  own.add(Rule().set_mark(0x102));
  own.count_by("after", Rule().equals(Field::kMark, Value().add_number(0x102)));
  own.count_by("bit", Rule().has_any(Field::kMark, 0x300));
  own.count_by("no bit", Rule().has_any(Field::kMark, 0x401));

  CHECK(own.passes("127.0.0.1"));

  CHECK(own.counted("before").packets == 0);
  CHECK(own.counted("after").packets == 1);
  CHECK(own.counted("bit").packets == 1);
  CHECK(own.counted("no bit").packets == 0);
}

TEST_CASE("nftables: ICMP has no ports, whatever its sender puts in their place") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.add(Rule().equals(Field::kDestinationPort, port(kPort)).drop());

  CHECK(!own.passes("127.0.0.1", kPort));
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 8, kPort) == 0);
}

TEST_CASE("nftables: ICMP is told apart by its type") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.add(Rule()
              .equals(Field::kProtocol, Value().add_byte(IPPROTO_ICMP))
              .equals(Field::kIcmpType, Value().add_byte(8))
              .drop());
  const Table ipv4{Family::kIpv4, "four"};
  own.commit(Batch()
                 .add(ipv4)
                 .add(ipv4, kOutput)
                 .add(ipv4, "out", Rule().equals(Field::kIcmpType, Value().add_byte(13)).drop()));

  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 8, 0) == EPERM);
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 13, 0) == EPERM);
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 0, 0) == 0);
}

TEST_CASE("nftables: after a jump the chain goes on, after a goto it does not") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.commit(Batch().add(kTable, Chain{.name = "empty"}));
  own.add(Rule().equals(Field::kDestinationPort, port(kPort)).jump("empty"));
  own.add(Rule().equals(Field::kDestinationPort, port(kOther)).go_to("empty"));
  own.count_by("goes on", Rule().equals(Field::kProtocol, udp()));

  CHECK(own.passes("127.0.0.1", kOther));
  CHECK(own.counted("goes on").packets == 0);
  CHECK(own.passes("127.0.0.1", kPort));
  CHECK(own.counted("goes on").packets == 1);
}

TEST_CASE("nftables: the state of a connection is known") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.count_by("new", Rule().has_any(Field::kState, kNew | kRelated));
  own.count_by("established", Rule().has_any(Field::kState, kEstablished));
  own.count_by("reply", Rule().equals(Field::kDirection, Value().add_byte(1)));

  CHECK(own.here.send("127.0.0.1", kPort) == 0);
  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(own.there.send("127.0.0.1", 6000) == 0);
  CHECK(own.here.receive() == "127.0.0.1:7000");
  CHECK(own.here.send("127.0.0.1", kPort) == 0);

  CHECK(own.counted("new").packets == 1);
  CHECK(own.counted("established").packets == 2);
  CHECK(own.counted("reply").packets == 1);
}

TEST_CASE("nftables: what comes faster than a rate of bytes is told apart") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.add(Rule().equals(Field::kProtocol, udp()).rate_over(1, 100).drop());

  CHECK(own.here.send_many(3, "127.0.0.1", kPort) == 2);
}

TEST_CASE("nftables: what comes faster than a rate of packets is told apart") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.add(Rule().equals(Field::kProtocol, udp()).packets_over(1, 2).drop());

  const int passed = own.here.send_many(50, "127.0.0.1", kPort);

  CHECK(passed >= 2);
  CHECK(passed < 50);
}

TEST_CASE("nftables: who is rejected is told so") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const DatagramSocket here6(own.network, "::1", 6000);
  own.commit(Batch()
                 .add(kTable, Chain{"in", BaseChain{.hook = Hook::kInput}})
                 .add(kTable, "in", Rule().equals(Field::kProtocol, udp()).reject()));
  own.here.connect("127.0.0.1", kPort);
  here6.connect("::1", kPort);

  CHECK(own.here.refusal() == EHOSTUNREACH);
  CHECK(here6.refusal() == EACCES);
}

TEST_CASE("nftables: destinations are translated, to another port, too") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  own.commit(Batch()
                 .add(kTable, kNat)
                 .add(kTable, "nat",
                      Rule()
                          .equals(Field::kDestinationPort, port(80))
                          .destination_nat(IpAddress::parse("127.0.0.1"), kPort)));
  own.count_by("translated", Rule().has_any(Field::kStatus, kDestinationTranslated));

  CHECK(own.passes("127.0.0.9", 80));

  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(own.counted("translated").packets == 1);
}

TEST_CASE("nftables: sources are translated, to a given address or that of the interface") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const DatagramSocket given(own.network, "127.0.0.1", kOther);
  const Chain nat{"nat",
                  BaseChain{.type = ChainType::kNat, .hook = Hook::kPostrouting, .priority = 100}};
  own.commit(
      Batch()
          .add(kTable, nat)
          .add(kTable, "nat",
               Rule()
                   .equals(Field::kDestinationPort, port(kOther))
                   .source_nat(IpAddress::parse("127.0.0.7")))
          .add(kTable, "nat", Rule().equals(Field::kDestinationPort, port(kPort)).masquerade()));

  CHECK(own.passes("127.0.0.1", kOther));
  CHECK(own.passes("127.0.0.1", kPort));

  CHECK(given.receive() == "127.0.0.7:6000");
  CHECK(own.there.receive() == "10.9.9.9:6000");
}

TEST_CASE("nftables: a chain at the ingress of an interface sees what comes in by it") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const Table device{Family::kNetdev, "device"};
  own.commit(
      Batch()
          .add(device)
          .add(device, Chain{"in", BaseChain{.hook = Hook::kIngress, .device = "lo"}})
          .add_counter(device, "four")
          .add_counter(device, "six")
          .add(device, "in", Rule().equals(Field::kSource6, address("::1")).counter("six").accept())
          .add(device, "in",
               Rule().equals(Field::kSource4, address("127.0.0.1")).counter("four").accept()));

  CHECK(own.passes("127.0.0.1"));
  CHECK(own.there.receive() == "127.0.0.1:6000");

  CHECK(own.nftables.counter(device, "four").packets == 1);
  CHECK(own.nftables.counter(device, "six").packets == 0);
}
