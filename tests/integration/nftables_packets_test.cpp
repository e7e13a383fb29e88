// SPDX-License-Identifier: Apache-2.0
//
// What the rules of sbx/nftables.hpp do to real packets: datagrams over the loopback of a network
// of the test's own. One that a chain at the output drops is refused to its sender, at once.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "sbx/link.hpp"
#include "sbx/nftables.hpp"
#include "support/loopback.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::IpFamily;
using sbx::IpPrefix;
using sbx::test::LocalDatagrams;
using namespace sbx::nft;

namespace {

const Table kTable{Family::kInet, "sandbox"};
const Chain kOutput{"out", BaseChain{.hook = Hook::kOutput}};
constexpr std::uint16_t kPort = 7000;
constexpr std::uint16_t kOther = 7001;
constexpr std::uint64_t kSize4 = 38;  // ten bytes of text in UDP, in IPv4
constexpr std::uint64_t kSize6 = 58;

Value port(std::uint16_t number) { return Value().add_port(number); }
Value udp() { return Value().add_byte(IPPROTO_UDP); }
Value address(const std::string& text) { return Value(IpAddress::parse(text)); }

/// A network with a table, and a chain of it at the output.
struct Network {
  sbx::Namespace network = sbx::test::loopback_network();
  Nftables nftables{network};
  LocalDatagrams here{network, "127.0.0.1", 6000};
  LocalDatagrams there{network, "127.0.0.1", kPort};

  Network() { nftables.commit(Batch().add(kTable).add(kTable, kOutput)); }

  void commit(const Batch& batch) { nftables.commit(batch); }
  void add(const Rule& rule) { nftables.commit(Batch().add(kTable, "out", rule)); }
  void count_by(const std::string& name, Rule rule) {
    nftables.commit(Batch().add_counter(kTable, name).add(kTable, "out", rule.counter(name)));
  }
  [[nodiscard]] Counter counted(const std::string& name) const {
    return nftables.counter(kTable, name);
  }
  [[nodiscard]] bool passes(const std::string& to, std::uint16_t port = kPort) const {
    return here.send(to, port) == 0;
  }
};

/// Waits until the counter has counted as many packets: those at the input are not on their way
/// any more when it has.
Counter count_of(const Network& own, const std::string& name, std::uint64_t packets) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(20);
  Counter counter = own.counted(name);
  while (counter.packets < packets && Clock::now() < end) {
    std::this_thread::yield();
    counter = own.counted(name);
  }
  return counter;
}

}  // namespace

TEST_CASE("nftables: what a rule drops does not pass, and the rest does") {
  SBX_REQUIRE_ROOT();
  const Network own;
  Nftables(own.network)
      .commit(
          Batch().add(kTable, "out", Rule().equals(Field::kDestinationPort, port(kPort)).drop()));

  CHECK(own.here.send("127.0.0.1", kPort) == EPERM);
  CHECK(own.here.send("127.0.0.1", kOther) == 0);
}

TEST_CASE("nftables: a rule can ask for the group that a link was made in") {
  SBX_REQUIRE_ROOT();
  Network own;
  sbx::Rtnetlink links(own.network);
  sbx::Link link = links.create(
      {.name = "near", .group = 0x736278, .peer_name = "far", .arp = false, .link_local = false});
  link.add_address(IpPrefix::parse("10.0.0.1/24"));
  link.set_up();
  links.open("far").set_up();
  const LocalDatagrams sender(own.network, "10.0.0.1", 6001);
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
  Network own;
  own.add(Rule().equals(Field::kDestination4, address("127.0.0.1")).accept());
  own.add(Rule().drop());

  CHECK(own.passes("127.0.0.1"));
  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(!own.passes("127.0.0.2"));
}

TEST_CASE("nftables: a base chain can drop what no rule decides") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(Batch().add(kTable, Chain{"strict", BaseChain{.hook = Hook::kOutput, .drops = true}}));

  CHECK(!own.passes("127.0.0.1"));
}

TEST_CASE("nftables: a chain at the input sees what comes") {
  SBX_REQUIRE_ROOT();
  Network own;
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
  Network own;
  const LocalDatagrams here6(own.network, "::1", 6000);
  own.count_by("four", Rule().equals(Field::kSource4, address("127.0.0.1")));
  own.count_by("six", Rule().equals(Field::kDestination6, address("::1")));
  own.count_by("both", Rule().equals(Field::kProtocol, udp()));
  const LocalDatagrams there6(own.network, "::1", kPort);

  CHECK(own.here.send_many(3, "127.0.0.1", kPort) == 3);
  CHECK(here6.send_many(2, "::1", kPort) == 2);

  CHECK(own.counted("four") == Counter{3, 3 * kSize4});
  CHECK(own.counted("six") == Counter{2, 2 * kSize6});
  CHECK(own.counted("both") == Counter{5, 3 * kSize4 + 2 * kSize6});
}

TEST_CASE("nftables: blocks of addresses are told apart at every length") {
  SBX_REQUIRE_ROOT();
  Network own;
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
  Network own;
  const LocalDatagrams here6(own.network, "::1", 6000);
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
  Network own;
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
  Network own;
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
  Network own;
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
  Network own;
  own.add(Rule().equals(Field::kDestinationPort, port(kPort)).drop());

  CHECK(!own.passes("127.0.0.1", kPort));
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 8, kPort) == 0);
}

TEST_CASE("nftables: that a protocol is not one of a set does not make it one with ports") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set tcp{.name = "tcp", .key = {Type::kProtocol}};
  own.commit(Batch()
                 .add(kTable, tcp)
                 .add(kTable, tcp, {{.key = Value().add_byte(IPPROTO_TCP)}})
                 .add(kTable, "out",
                      Rule()
                          .not_in({Field::kProtocol}, "tcp")
                          .equals(Field::kDestinationPort, port(kPort))
                          .drop()));

  CHECK(!own.passes("127.0.0.1", kPort));
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 8, kPort) == 0);
}

TEST_CASE("nftables: a set can hold protocols with their types of ICMP") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "types", .key = {Type::kProtocol, Type::kProtocol}};
  own.commit(
      Batch()
          .add(kTable, set)
          .add(kTable, set, {{.key = Value().add_byte(IPPROTO_ICMP).add_byte(8)}})
          .add(kTable, "out", Rule().in({Field::kProtocol, Field::kIcmpType}, "types").drop()));

  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 8, 0) == EPERM);
  CHECK(sbx::test::send_icmp(own.network, "127.0.0.1", 0, 0) == 0);
}

TEST_CASE("nftables: in a concatenation long fields have their place, too") {
  SBX_REQUIRE_ROOT();
  Network own;
  const LocalDatagrams here6(own.network, "::1", 6000);
  const Set set{.name = "set", .key = {Type::kIpv6, Type::kInterfaceName, Type::kPort}};
  const auto key = address("::1").add_name("lo").add_port(kPort);
  own.commit(
      Batch()
          .add(kTable, set)
          .add(kTable, set, {{.key = key}})
          .add(kTable, "out",
               Rule()
                   .in({Field::kDestination6, Field::kOutputName, Field::kDestinationPort}, "set")
                   .drop()));

  CHECK(here6.send("::1", kPort) == EPERM);
  CHECK(here6.send("::1", kOther) == 0);
}

TEST_CASE("nftables: ICMP is told apart by its type") {
  SBX_REQUIRE_ROOT();
  Network own;
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

TEST_CASE("nftables: what is in a set is told from what is not") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "ports", .key = {Type::kPort}};
  own.commit(Batch().add(kTable, set).add(kTable, set, {{.key = port(kPort)}}));
  own.count_by("in", Rule().in({Field::kDestinationPort}, "ports"));
  own.add(Rule().not_in({Field::kDestinationPort}, "ports").drop());

  CHECK(own.passes("127.0.0.1", kPort));
  CHECK(!own.passes("127.0.0.1", kOther));
  CHECK(own.counted("in").packets == 1);

  own.commit(Batch().add(kTable, set, {{.key = port(kOther)}}));
  CHECK(own.passes("127.0.0.1", kOther));
}

TEST_CASE("nftables: a set and the rule that looks into it come in one batch") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "ports", .key = {Type::kPort}};

  own.commit(Batch()
                 .add(kTable, set)
                 .add(kTable, set, {{.key = port(kPort)}})
                 .add(kTable, "out", Rule().in({Field::kDestinationPort}, "ports").drop()));

  CHECK(!own.passes("127.0.0.1", kPort));
  CHECK(own.passes("127.0.0.1", kOther));
}

TEST_CASE("nftables: a set of concatenations holds for all the fields together") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "set", .key = {Type::kIpv4, Type::kProtocol, Type::kPort}};
  const auto key = address("127.0.0.2").add_byte(IPPROTO_UDP).add_port(kPort);
  own.commit(
      Batch()
          .add(kTable, set)
          .add(kTable, set, {{.key = key}})
          .add(kTable, "out",
               Rule()
                   .in({Field::kDestination4, Field::kProtocol, Field::kDestinationPort}, "set")
                   .drop()));

  CHECK(!own.passes("127.0.0.2", kPort));
  CHECK(own.passes("127.0.0.2", kOther));
  CHECK(own.passes("127.0.0.1", kPort));
}

TEST_CASE("nftables: a set of intervals holds from the first value to the last") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "ranges", .key = {Type::kPort}, .intervals = true};
  own.commit(Batch()
                 .add(kTable, set)
                 .add(kTable, set,
                      {{.key = port(7000), .key_end = port(7010)},
                       {.key = port(60000), .key_end = port(65535)},
                       {.key = port(7020)}})
                 .add(kTable, "out", Rule().in({Field::kDestinationPort}, "ranges").drop()));

  CHECK(own.passes("127.0.0.1", 6999));
  CHECK(!own.passes("127.0.0.1", 7000));
  CHECK(!own.passes("127.0.0.1", 7010));
  CHECK(own.passes("127.0.0.1", 7011));
  CHECK(!own.passes("127.0.0.1", 7020));
  CHECK(own.passes("127.0.0.1", 7021));
  CHECK(!own.passes("127.0.0.1", 65535));
}

TEST_CASE("nftables: a set of concatenated intervals holds where each field is within its own") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "wide", .key = {Type::kIpv4, Type::kPort}, .intervals = true};
  const Element wide{.key = address("127.0.0.4").add_port(7000),
                     .key_end = address("127.0.0.9").add_port(7010)};
  own.commit(Batch()
                 .add(kTable, set)
                 .add(kTable, set, {wide})
                 .add(kTable, "out",
                      Rule().in({Field::kDestination4, Field::kDestinationPort}, "wide").drop()));

  CHECK(!own.passes("127.0.0.4", 7010));
  CHECK(!own.passes("127.0.0.9", 7000));
  CHECK(own.passes("127.0.0.9", 7011));
  CHECK(own.passes("127.0.0.10", 7000));
  CHECK(own.passes("127.0.0.3", 7000));
}

TEST_CASE("nftables: each element of a set counts what it was found for") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "counted", .key = {Type::kIpv4}, .counters = true};
  own.commit(Batch()
                 .add(kTable, set)
                 .add(kTable, set,
                      {{.key = address("127.0.0.2"), .counter = Counter{10, 1000}},
                       {.key = address("127.0.0.3")}})
                 .add(kTable, "out", Rule().in({Field::kDestination4}, "counted").accept()));

  CHECK(own.here.send_many(3, "127.0.0.2", kPort) == 3);
  CHECK(own.here.send_many(1, "127.0.0.3", kPort) == 1);

  const auto counter_of = [&](const char* key) {
    return own.nftables.element(kTable, set, address(key)).value().counter;
  };
  CHECK(counter_of("127.0.0.2") == Counter{13, 1000 + 3 * kSize4});
  CHECK(counter_of("127.0.0.3") == Counter{1, kSize4});
}

TEST_CASE("nftables: a verdict map sends each packet its own way") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set map{.name = "ways", .key = {Type::kPort}, .verdicts = true};
  own.commit(Batch()
                 .add(kTable, Chain{.name = "closed"})
                 .add_counter(kTable, "closed")
                 .add(kTable, "closed", Rule().counter("closed").drop())
                 .add(kTable, map)
                 .add(kTable, map,
                      {{.key = port(kPort), .data = Verdict::jump("closed")},
                       {.key = port(kOther), .data = Verdict::accept()}})
                 .add(kTable, "out", Rule().verdict_map({Field::kDestinationPort}, "ways"))
                 .add_counter(kTable, "rest")
                 .add(kTable, "out", Rule().equals(Field::kProtocol, udp()).counter("rest")));

  CHECK(!own.passes("127.0.0.1", kPort));
  CHECK(own.passes("127.0.0.1", kOther));
  CHECK(own.passes("127.0.0.1", 7002));

  CHECK(own.counted("closed").packets == 1);
  CHECK(own.counted("rest").packets == 1);
}

TEST_CASE("nftables: after a jump the chain goes on, after a goto it does not") {
  SBX_REQUIRE_ROOT();
  Network own;
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
  Network own;
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

TEST_CASE("nftables: no more connections pass than a rule allows") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "connections", .key = {Type::kPort}, .dynamic = true, .max_size = 100};
  const LocalDatagrams second(own.network, "127.0.0.1", 6001);
  const LocalDatagrams third(own.network, "127.0.0.1", 6002);
  own.commit(Batch()
                 .add(kTable, set)
                 .add(kTable, "out",
                      Rule()
                          .equals(Field::kProtocol, udp())
                          .has_any(Field::kState, kNew)
                          .connections_over({Field::kDestinationPort}, "connections", 2)
                          .drop()));

  CHECK(own.here.send("127.0.0.1", kPort) == 0);
  CHECK(second.send("127.0.0.1", kPort) == 0);
  CHECK(third.send("127.0.0.1", kPort) == EPERM);
  CHECK(third.send("127.0.0.1", kOther) == 0);
  CHECK(own.nftables.elements(kTable, set).size() == 2);
}

TEST_CASE("nftables: what comes faster than a rate of bytes is told apart") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.add(Rule().equals(Field::kProtocol, udp()).rate_over(1, 100).drop());

  CHECK(own.here.send_many(3, "127.0.0.1", kPort) == 2);
}

TEST_CASE("nftables: what comes faster than a rate of packets is told apart") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.add(Rule().equals(Field::kProtocol, udp()).packets_over(1, 2).drop());

  const int passed = own.here.send_many(50, "127.0.0.1", kPort);

  CHECK(passed >= 2);
  CHECK(passed < 50);
}

TEST_CASE("nftables: who is rejected is told so") {
  SBX_REQUIRE_ROOT();
  Network own;
  const LocalDatagrams here6(own.network, "::1", 6000);
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
  Network own;
  const Chain nat{"nat",
                  BaseChain{.type = ChainType::kNat, .hook = Hook::kOutput, .priority = -100}};
  own.commit(Batch()
                 .add(kTable, nat)
                 .add(kTable, "nat",
                      Rule()
                          .equals(Field::kDestinationPort, port(80))
                          .destination_nat(IpAddress::parse("127.0.0.1"), kPort)));
  own.count_by("translated", Rule().has_any(Field::kStatus, kDestinationTranslated));

  CHECK(own.passes("127.0.0.9", 80));

  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(own.counted("translated").packets == 1);
}

TEST_CASE("nftables: destinations are translated by a map of addresses and ports") {
  SBX_REQUIRE_ROOT();
  Network own;
  const LocalDatagrams here6(own.network, "::1", 6000);
  const LocalDatagrams there6(own.network, "::1", kPort);
  const Set four{.name = "four", .key = {Type::kPort}, .data = {Type::kIpv4, Type::kPort}};
  const Set six{.name = "six", .key = {Type::kPort}, .data = {Type::kIpv6, Type::kPort}};
  const Chain nat{"nat",
                  BaseChain{.type = ChainType::kNat, .hook = Hook::kOutput, .priority = -100}};
  own.commit(
      Batch()
          .add(kTable, nat)
          .add(kTable, four)
          .add(kTable, six)
          .add(kTable, four, {{.key = port(80), .data = address("127.0.0.1").add_port(kPort)}})
          .add(kTable, six, {{.key = port(81), .data = address("::1").add_port(kPort)}})
          .add(kTable, "nat",
               Rule().destination_nat_map(IpFamily::kIpv4, {Field::kDestinationPort}, "four", true))
          .add(
              kTable, "nat",
              Rule().destination_nat_map(IpFamily::kIpv6, {Field::kDestinationPort}, "six", true)));

  CHECK(own.passes("127.0.0.9", 80));
  CHECK(here6.send("::1", 81) == 0);

  CHECK(own.there.receive() == "127.0.0.1:6000");
  CHECK(there6.receive() == "::1:6000");
}

TEST_CASE("nftables: destinations are translated by a map of addresses alone") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set map{.name = "to", .key = {Type::kIpv4}, .data = {Type::kIpv4}};
  const Chain nat{"nat",
                  BaseChain{.type = ChainType::kNat, .hook = Hook::kOutput, .priority = -100}};
  own.commit(
      Batch()
          .add(kTable, nat)
          .add(kTable, map)
          .add(kTable, map, {{.key = address("127.0.0.9"), .data = address("127.0.0.1")}})
          .add(kTable, "nat",
               Rule().destination_nat_map(IpFamily::kIpv4, {Field::kDestination4}, "to", false)));

  CHECK(own.passes("127.0.0.9"));

  CHECK(own.there.receive() == "127.0.0.1:6000");
}

TEST_CASE("nftables: sources are translated, to a given address or that of the interface") {
  SBX_REQUIRE_ROOT();
  Network own;
  const LocalDatagrams given(own.network, "127.0.0.1", kOther);
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
  Network own;
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
