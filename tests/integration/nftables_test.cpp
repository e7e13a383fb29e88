// SPDX-License-Identifier: Apache-2.0
#include "sbx/nftables.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <sbx/error.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/ordinary_user.hpp"
#include "support/require.hpp"

using sbx::IpAddress;
using sbx::IpPrefix;
using sbx::MacAddress;
using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::SystemError;
using sbx::test::in_child;
using namespace sbx::nft;

namespace {

const Table kTable{Family::kInet, "sandbox"};
const Set kPorts{.name = "ports", .key = {Type::kPort}};
const Set kPortRanges{.name = "ranges", .key = {Type::kPort}, .intervals = true};

/// A network of the test's own, and the conversation about its packet filter.
struct Network {
  Namespace network = Namespace::create(NamespaceKind::kNet);
  Nftables nftables{network};

  void commit(const Batch& batch) { nftables.commit(batch); }
};

Element port(std::uint16_t value) { return {.key = Value().add_port(value)}; }

Element ports(std::uint16_t first, std::uint16_t last) {
  return {.key = Value().add_port(first), .key_end = Value().add_port(last)};
}

/// "0016 0050-005a", in the order of the keys.
std::string told(std::vector<Element> elements) {
  std::sort(elements.begin(), elements.end(),
            [](const Element& a, const Element& b) { return a.key < b.key; });
  std::string all;
  for (const Element& each : elements) {
    all += (all.empty() ? "" : " ") + each.key.to_string();
    if (each.key_end) all += "-" + each.key_end->to_string();
  }
  return all;
}

std::string told(const std::optional<Element>& element) {
  return element ? told(std::vector<Element>{*element}) : "none";
}

std::vector<Element> addresses(unsigned count) {
  std::vector<Element> all(count);
  for (unsigned i = 0; i < count; ++i) {
    const std::uint8_t bytes[4] = {10, static_cast<std::uint8_t>(i >> 16),
                                   static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    all[i].key = Value(IpAddress(bytes));
  }
  return all;
}

/// "inet sandbox", with the family's number.
std::vector<std::string> told(const std::vector<Table>& tables) {
  std::vector<std::string> all;
  for (const Table& each : tables) {
    all.push_back(std::to_string(static_cast<int>(each.family)) + " " + each.name);
  }
  return all;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("nftables: a table is there from when it is added until it is removed") {
  SBX_REQUIRE_ROOT();
  Network own;

  own.commit(Batch().add(kTable).add(Table{Family::kBridge, "b"}));
  CHECK(told(own.nftables.tables()) == Names{"1 sandbox", "7 b"});

  own.commit(Batch().remove(kTable));
  CHECK(told(own.nftables.tables()) == Names{"7 b"});
}

TEST_CASE("nftables: the conversation is about the caller's network when none is named") {
  SBX_REQUIRE_ROOT();
  Network own;

  own.network.run([] { Nftables().commit(Batch().add(kTable)); });

  CHECK(told(own.nftables.tables()) == Names{"1 sandbox"});
}

TEST_CASE("nftables: chains are found with what ties them to the kernel") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Chain filter{"filter", BaseChain{.hook = Hook::kInput, .priority = -5, .drops = true}};
  const Chain nat{"nat",
                  BaseChain{.type = ChainType::kNat, .hook = Hook::kPostrouting, .priority = 100}};
  const Chain ingress{"in", BaseChain{.hook = Hook::kIngress, .device = "lo"}};
  const Chain egress{"out", BaseChain{.hook = Hook::kEgress, .priority = 7, .device = "lo"}};
  const Chain route{"route", BaseChain{.type = ChainType::kRoute, .hook = Hook::kOutput}};
  const Table device{Family::kNetdev, "d"};
  const Table ipv4{Family::kIpv4, "four"};

  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, filter)
                 .add(kTable, nat)
                 .add(kTable, ingress)
                 .add(kTable, Chain{.name = "plain"})
                 .add(device)
                 .add(device, ingress)
                 .add(device, egress)
                 .add(ipv4)
                 .add(ipv4, route));

  const auto found = own.nftables.chains();
  REQUIRE(found.size() == 7);
  CHECK(found[0].table.name == "sandbox");
  CHECK(found[0].table.family == Family::kInet);
  CHECK(found[0].chain.name == "filter");
  CHECK(found[0].chain.base == filter.base);
  CHECK(found[1].chain.base == nat.base);
  CHECK(found[2].chain.base == ingress.base);
  CHECK(found[3].chain.name == "plain");
  CHECK(!found[3].chain.base);
  CHECK(found[4].table.family == Family::kNetdev);
  CHECK(found[4].chain.base == ingress.base);
  CHECK(found[5].chain.base == egress.base);
  CHECK(found[6].chain.base == route.base);
}

TEST_CASE("nftables: each family of tables takes chains and rules") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Table bridge{Family::kBridge, "b"};
  const Table arp{Family::kArp, "a"};
  const Table ipv6{Family::kIpv6, "six"};
  const Table device{Family::kNetdev, "d"};
  const auto mac = MacAddress::parse("02:00:00:00:00:01");

  own.commit(
      Batch()
          .add(bridge)
          .add(bridge, Chain{"f", BaseChain{.hook = Hook::kForward, .priority = -200}})
          .add(bridge, "f",
               Rule()
                   .within(Field::kSource4, IpPrefix::parse("10.0.0.0/8"))
                   .equals(Field::kEtherSource, Value(mac))
                   .drop())
          .add(bridge, "f", Rule().equals(Field::kEtherType, Value().add_port(0x806)).accept())
          .add(arp)
          .add(arp, Chain{"in", BaseChain{.hook = Hook::kInput}})
          .add(arp, Chain{"out", BaseChain{.hook = Hook::kOutput}})
          .add(arp, "in", Rule().counter().accept())
          .add(device)
          .add(device, Chain{"in", BaseChain{.hook = Hook::kIngress, .device = "lo"}})
          .add(device, "in",
               Rule().equals(Field::kSource6, Value(IpAddress::parse("::1"))).counter().accept())
          .add(ipv6)
          .add(ipv6, Chain{"in", BaseChain{.hook = Hook::kInput}})
          .add(ipv6, "in", Rule().equals(Field::kIcmpType, Value().add_byte(128)).reject()));

  CHECK(own.nftables.chains().size() == 5);
}

TEST_CASE("nftables: to add what is there already changes nothing") {
  SBX_REQUIRE_ROOT();
  Network own;
  Batch batch;
  batch.add(kTable)
      .add(kTable, Chain{"in", BaseChain{.hook = Hook::kInput}})
      .add(kTable, kPorts)
      .add(kTable, kPorts, {port(22)})
      .add_counter(kTable, "c");
  own.commit(batch);

  own.commit(batch);

  CHECK(told(own.nftables.elements(kTable, kPorts)) == "0016");
  CHECK(own.nftables.chains().size() == 1);
}

TEST_CASE("nftables: a set has the elements that were added and not removed") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(
      Batch().add(kTable).add(kTable, kPorts).add(kTable, kPorts, {port(22), port(80), port(443)}));

  own.commit(Batch().remove(kTable, kPorts, {port(80)}));
  CHECK(told(own.nftables.elements(kTable, kPorts)) == "0016 01bb");
  CHECK(told(own.nftables.element(kTable, kPorts, Value().add_port(443))) == "01bb");
  CHECK(told(own.nftables.element(kTable, kPorts, Value().add_port(80))) == "none");

  own.commit(Batch().flush_set(kTable, "ports"));
  CHECK(own.nftables.elements(kTable, kPorts).empty());
}

TEST_CASE("nftables: every type of value comes back as it was added") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set first{.name = "first",
                  .key = {Type::kIpv4, Type::kMac, Type::kProtocol, Type::kPort, Type::kMark}};
  const Set second{.name = "second",
                   .key = {Type::kIpv6, Type::kInterface, Type::kInterfaceName, Type::kDirection}};
  const auto one = Value(IpAddress::parse("192.0.2.1"))
                       .add(MacAddress::parse("02:00:00:00:00:01"))
                       .add_byte(17)
                       .add_port(53)
                       .add_number(0x01020304);
  const auto two =
      Value(IpAddress::parse("2001:db8::1")).add_number(7).add_name("eth0").add_byte(1);

  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, first)
                 .add(kTable, second)
                 .add(kTable, first, {{.key = one}})
                 .add(kTable, second, {{.key = two}}));

  CHECK(own.nftables.elements(kTable, first).at(0).key == one);
  CHECK(own.nftables.elements(kTable, second).at(0).key == two);
  CHECK(own.nftables.element(kTable, second, two).value().key == two);
}

TEST_CASE("nftables: a map has what belongs to each key") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set map{.name = "to", .key = {Type::kPort}, .data = {Type::kIpv6, Type::kPort}};
  const auto target = Value(IpAddress::parse("fd00::5")).add_port(8080);

  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, map)
                 .add(kTable, map, {{.key = Value().add_port(80), .data = target}}));

  CHECK(own.nftables.elements(kTable, map).at(0).data ==
        std::variant<std::monostate, Value, Verdict>(target));
}

TEST_CASE("nftables: a verdict map has what is done for each key") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set map{.name = "verdicts", .key = {Type::kPort}, .verdicts = true};
  const auto with = [](std::uint16_t key, Verdict verdict) {
    return Element{.key = Value().add_port(key), .data = std::move(verdict)};
  };
  const std::vector<Element> added{
      with(1, Verdict::accept()),        with(2, Verdict::drop()),
      with(3, Verdict::jump("other")),   with(4, Verdict::go_to("other")),
      with(5, {Verdict::Kind::kReturn}), with(6, {Verdict::Kind::kContinue})};

  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, Chain{.name = "other"})
                 .add(kTable, map)
                 .add(kTable, map, added));

  const auto data_of = [&](std::size_t i) {
    return own.nftables.element(kTable, map, added[i].key).value().data == added[i].data;
  };
  CHECK(data_of(0));
  CHECK(data_of(1));
  CHECK(data_of(2));
  CHECK(data_of(3));
  CHECK(data_of(4));
  CHECK(data_of(5));
}

TEST_CASE("nftables: intervals come back with their last values") {
  SBX_REQUIRE_ROOT();
  Network own;

  // Next to each other, up to the highest value, of one value alone, and not in order.
  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, kPortRanges)
                 .add(kTable, kPortRanges,
                      {ports(0x100, 0xffff), ports(1, 5), ports(6, 6), port(9), ports(7, 8)}));

  CHECK(told(own.nftables.elements(kTable, kPortRanges)) ==
        "0001-0005 0006 0007-0008 0009 0100-ffff");
}

TEST_CASE("nftables: the interval that a value belongs to is found") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(
      Batch()
          .add(kTable)
          .add(kTable, kPortRanges)
          .add(kTable, kPortRanges,
               {ports(1, 5), port(6), ports(7, 9), port(0xfe), port(0xff), ports(0x100, 0xffff)}));
  const auto found = [&](std::uint16_t key) {
    return told(own.nftables.element(kTable, kPortRanges, Value().add_port(key)));
  };

  CHECK(found(0) == "none");
  CHECK(found(1) == "0001-0005");
  CHECK(found(5) == "0001-0005");
  CHECK(found(6) == "0006");
  CHECK(found(7) == "0007-0009");
  CHECK(found(8) == "0007-0009");
  CHECK(found(10) == "none");
  CHECK(found(0xfe) == "00fe");
  CHECK(found(0xff) == "00ff");
  CHECK(found(0x100) == "0100-ffff");
  CHECK(found(0x200) == "0100-ffff");
  CHECK(found(0xffff) == "0100-ffff");
}

TEST_CASE("nftables: intervals can be removed") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, kPortRanges)
                 .add(kTable, kPortRanges, {ports(1, 5), port(6), ports(0x100, 0xffff)}));

  own.commit(Batch().remove(kTable, kPortRanges, {ports(0x100, 0xffff), ports(1, 5)}));

  CHECK(told(own.nftables.elements(kTable, kPortRanges)) == "0006");
}

TEST_CASE("nftables: each part of a concatenation can be an interval") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "wide", .key = {Type::kIpv4, Type::kPort}, .intervals = true};
  const Element wide{.key = Value(IpAddress::parse("10.0.0.0")).add_port(80),
                     .key_end = Value(IpAddress::parse("10.255.255.255")).add_port(90)};
  const Element one{.key = Value(IpAddress::parse("192.0.2.1")).add_port(22)};

  own.commit(Batch().add(kTable).add(kTable, set).add(kTable, set, {wide, one}));
  CHECK(told(own.nftables.elements(kTable, set)) ==
        "0a00000000500000-0affffff005a0000 c000020100160000");

  own.commit(Batch().remove(kTable, set, {wide}));
  CHECK(told(own.nftables.elements(kTable, set)) == "c000020100160000");
}

TEST_CASE("nftables: an element counts from where it is told to") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "counted", .key = {Type::kIpv4}, .counters = true};
  const Value key(IpAddress::parse("10.0.0.1"));
  const Value other(IpAddress::parse("10.0.0.2"));

  own.commit(Batch()
                 .add(kTable)
                 .add(kTable, set)
                 .add(kTable, set, {{.key = key, .counter = Counter{3, 1500}}, {.key = other}}));

  CHECK(own.nftables.element(kTable, set, key).value().counter == Counter{3, 1500});
  CHECK(own.nftables.element(kTable, set, other).value().counter == Counter{});
}

TEST_CASE("nftables: a set takes no more elements than it may have") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "few", .key = {Type::kPort}, .max_size = 2};
  own.commit(Batch().add(kTable).add(kTable, set).add(kTable, set, {port(1), port(2)}));

  CHECK_THROWS_WITH_AS(own.commit(Batch().add(kTable, set, {port(3)})),
                       "cannot add the element 0003 to the set 'few' of the table 'inet sandbox': "
                       "Too many open files in system",
                       SystemError);
}

TEST_CASE("nftables: one batch takes forty thousand elements") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set set{.name = "many", .key = {Type::kIpv4}};
  const auto many = addresses(40000);

  own.commit(Batch().add(kTable).add(kTable, set).add(kTable, set, many));
  CHECK(own.nftables.elements(kTable, set).size() == many.size());

  own.commit(Batch().remove(kTable, set, many));
  CHECK(own.nftables.elements(kTable, set).empty());
}

TEST_CASE("nftables: an empty batch changes nothing") {
  SBX_REQUIRE_ROOT();
  Network own;
  Batch batch;

  CHECK(batch.empty());
  own.commit(batch);
  CHECK(!batch.add(kTable).empty());
}

TEST_CASE("nftables: a batch can be committed more than once, and go on") {
  SBX_REQUIRE_ROOT();
  Network own;
  Batch batch;
  own.commit(batch.add(kTable));

  own.commit(batch.add(Table{Family::kInet, "other"}));

  CHECK(told(own.nftables.tables()) == Names{"1 sandbox", "1 other"});
}

TEST_CASE("nftables: of a batch that the kernel refuses nothing is left") {
  SBX_REQUIRE_ROOT();
  Network own;
  Batch batch;
  batch.add(kTable)
      .add(kTable, kPorts)
      .remove_chain(kTable, "absent")
      .add(Table{Family::kArp, "a"});

  CHECK_THROWS_WITH_AS(own.commit(batch),
                       "cannot remove the chain 'absent' of the table 'inet sandbox': No such file "
                       "or directory",
                       SystemError);

  CHECK(own.nftables.tables().empty());
}

TEST_CASE("nftables: what is there already cannot be created") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(Batch().create(kTable));

  CHECK_THROWS_WITH_AS(own.commit(Batch().create(kTable)),
                       "cannot create the table 'inet sandbox': File exists", SystemError);
}

TEST_CASE("nftables: a key cannot get other data") {
  SBX_REQUIRE_ROOT();
  Network own;
  const Set map{.name = "to", .key = {Type::kPort}, .data = {Type::kPort}};
  const auto entry = [](std::uint16_t to) {
    return std::vector<Element>{{.key = Value().add_port(80), .data = Value().add_port(to)}};
  };
  own.commit(Batch().add(kTable).add(kTable, map).add(kTable, map, entry(1)));

  own.commit(Batch().add(kTable, map, entry(1)));
  CHECK_THROWS_WITH_AS(
      own.commit(Batch().add(kTable, map, entry(2))),
      "cannot add the element 0050 to the set 'to' of the table 'inet sandbox': File exists",
      SystemError);
}

TEST_CASE("nftables: what is not there cannot be added to, removed or read") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(Batch().add(kTable));
  const auto absent = std::string(": No such file or directory");
  const Table other{Family::kIpv4, "other"};

  CHECK_THROWS_WITH_AS(own.commit(Batch().remove(other)),
                       ("cannot remove the table 'ip other'" + absent).c_str(), SystemError);
  CHECK_THROWS_WITH_AS(own.commit(Batch().add(other, Chain{.name = "forward"})),
                       ("cannot add the chain 'forward' to the table 'ip other'" + absent).c_str(),
                       SystemError);
  CHECK_THROWS_WITH_AS(
      own.commit(Batch().add(kTable, "absent", Rule().accept())),
      ("cannot add a rule to the chain 'absent' of the table 'inet sandbox'" + absent).c_str(),
      SystemError);
  CHECK_THROWS_WITH_AS(
      own.commit(Batch().add(kTable, kPorts, {port(1), port(2)})),
      ("cannot add 2 elements to the set 'ports' of the table 'inet sandbox'" + absent).c_str(),
      SystemError);
  CHECK_THROWS_WITH_AS((void)own.nftables.elements(kTable, kPorts),
                       ("cannot read the set 'ports' of the table 'inet sandbox'" + absent).c_str(),
                       SystemError);
  CHECK_THROWS_WITH_AS((void)own.nftables.element(kTable, kPorts, Value().add_port(1)),
                       ("cannot read the set 'ports' of the table 'inet sandbox'" + absent).c_str(),
                       SystemError);
  CHECK_THROWS_WITH_AS(
      (void)own.nftables.counter(kTable, "bytes"),
      ("cannot read the counter 'bytes' of the table 'inet sandbox'" + absent).c_str(),
      SystemError);
}

TEST_CASE("nftables: what rules use cannot be removed") {
  SBX_REQUIRE_ROOT();
  Network own;
  own.commit(
      Batch()
          .add(kTable)
          .add(kTable, kPorts)
          .add(kTable, Chain{.name = "other"})
          .add(kTable, Chain{.name = "chain"})
          .add(kTable, "chain", Rule().in({Field::kDestinationPort}, "ports").jump("other")));

  CHECK_THROWS_WITH_AS(
      own.commit(Batch().remove_set(kTable, "ports")),
      "cannot remove the set 'ports' of the table 'inet sandbox': Device or resource busy",
      SystemError);
  CHECK_THROWS_WITH_AS(
      own.commit(Batch().remove_chain(kTable, "other")),
      "cannot remove the chain 'other' of the table 'inet sandbox': Device or resource busy",
      SystemError);

  own.commit(Batch()
                 .flush_chain(kTable, "chain")
                 .remove_set(kTable, "ports")
                 .remove_chain(kTable, "other"));
  CHECK(own.nftables.chains().size() == 1);
}

TEST_CASE("nftables: the first of thousands of errors is told") {
  SBX_REQUIRE_ROOT();
  Network own;
  Batch batch;
  batch.add(kTable).remove_set(kTable, "first");
  for (int i = 0; i < 5000; ++i) batch.remove_set(kTable, "later");

  CHECK_THROWS_WITH_AS(
      own.commit(batch),
      "cannot remove the set 'first' of the table 'inet sandbox': No such file or directory",
      SystemError);
}

TEST_CASE("nftables: who has no right to the network is refused") {
  SBX_REQUIRE_ROOT();

  CHECK(in_child([]() -> std::string {
          Namespace::create(NamespaceKind::kNet).enter();
          sbx::test::become_user(4242);
          Nftables().commit(Batch().add(kTable));
          return "committed";
        }) == "cannot change the packet filter: Operation not permitted");
  CHECK(in_child([]() -> std::string {
          Namespace::create(NamespaceKind::kNet).enter();
          sbx::test::become_user(4242);
          return std::to_string(Nftables().tables().size());
        }) == "cannot list the tables of the packet filter: Operation not permitted");
}

TEST_CASE("nftables: an owned table goes with its handle") {
  SBX_REQUIRE_ROOT();
  Network own;
  {
    const OwnedTable table(own.nftables, kTable);
    CHECK(table.table().name == "sandbox");
    CHECK(own.nftables.tables().size() == 1);
    CHECK_THROWS_WITH_AS(OwnedTable(own.nftables, kTable),
                         "cannot create the table 'inet sandbox': File exists", SystemError);
    CHECK(own.nftables.tables().size() == 1);
  }

  CHECK(own.nftables.tables().empty());
}

TEST_CASE("nftables: an owned table can be moved, and released") {
  SBX_REQUIRE_ROOT();
  Network own;
  {
    OwnedTable first(own.nftables, {Family::kInet, "first"});
    OwnedTable second(own.nftables, {Family::kInet, "second"});
    first = std::move(second);
    CHECK(told(own.nftables.tables()) == Names{"1 second"});
    OwnedTable third(std::move(first));
    third.release();
  }

  CHECK(told(own.nftables.tables()) == Names{"1 second"});
}

TEST_CASE("nftables: a rule cannot look at what packets of its table never have") {
  SBX_REQUIRE_ROOT();
  const Value four(IpAddress::parse("10.0.0.1"));
  const Table ipv6{Family::kIpv6, "six"};

  CHECK_THROWS_WITH_AS(Batch().add(ipv6, "c", Rule().equals(Field::kSource4, four)),
                       "no packet of the table 'ip6 six' has an IPv4 address",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      Batch().add(kTable, "c", Rule().equals(Field::kIcmpType, Value().add_byte(8))),
      "which ICMP a rule of the table 'inet sandbox' means must be said before "
      "its type",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(Rule().equals(Field::kSource6, four),
                       "a value of 4 bytes cannot be that of a field of a packet that has 16",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      Batch().add({Family::kArp, "a"}, Chain{"c", BaseChain{.hook = Hook::kPrerouting}}),
      "a chain of the table 'arp a' cannot have this hook", std::invalid_argument);
}

TEST_CASE("nftables: a name that no message has room for is refused") {
  SBX_REQUIRE_ROOT();

  CHECK_THROWS_WITH_AS(Batch().add(Table{Family::kInet, std::string(70000, 'a')}),
                       "cannot put a message to nf_tables together: Message too long", SystemError);
}

TEST_CASE("nftables: a rule can be long") {
  SBX_REQUIRE_ROOT();
  constexpr int kCounters = 100;
  const Table table{Family::kInet, "sandbox"};
  const Namespace network = Namespace::create(NamespaceKind::kNet);
  Nftables nftables(network);
  Batch batch;
  batch.add(table).add(table, Chain{.name = "chain"});
  Rule rule;
  for (int i = 0; i < kCounters; ++i) {
    const std::string name = std::string(200, 'a') + std::to_string(i);
    batch.add_counter(table, name);
    rule.counter(name);
  }
  CHECK_NOTHROW(nftables.commit(batch.add(table, "chain", rule)));
}
