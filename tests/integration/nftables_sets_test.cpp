// SPDX-License-Identifier: Apache-2.0
//
// What sets and maps, and the rules that look into them, do to real packets.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cerrno>
#include <string>

#include "integration/filtered_loopback.hpp"
#include "sbx/nftables.hpp"
#include "support/loopback.hpp"
#include "support/require.hpp"

using sbx::IpFamily;
using namespace sbx::nft;
using namespace sbx::test;

TEST_CASE("nftables: that a protocol is not one of a set does not make it one with ports") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
  const DatagramSocket here6(own.network, "::1", 6000);
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

TEST_CASE("nftables: what is in a set is told from what is not") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
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
  FilteredLoopback own;
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

TEST_CASE("nftables: no more connections pass than a rule allows") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const Set set{.name = "connections", .key = {Type::kPort}, .dynamic = true, .max_size = 100};
  const DatagramSocket second(own.network, "127.0.0.1", 6001);
  const DatagramSocket third(own.network, "127.0.0.1", 6002);
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

TEST_CASE("nftables: destinations are translated by a map of addresses and ports") {
  SBX_REQUIRE_ROOT();
  FilteredLoopback own;
  const DatagramSocket here6(own.network, "::1", 6000);
  const DatagramSocket there6(own.network, "::1", kPort);
  const Set four{.name = "four", .key = {Type::kPort}, .data = {Type::kIpv4, Type::kPort}};
  const Set six{.name = "six", .key = {Type::kPort}, .data = {Type::kIpv6, Type::kPort}};
  own.commit(
      Batch()
          .add(kTable, kNat)
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
  FilteredLoopback own;
  const Set map{.name = "to", .key = {Type::kIpv4}, .data = {Type::kIpv4}};
  own.commit(
      Batch()
          .add(kTable, kNat)
          .add(kTable, map)
          .add(kTable, map, {{.key = address("127.0.0.9"), .data = address("127.0.0.1")}})
          .add(kTable, "nat",
               Rule().destination_nat_map(IpFamily::kIpv4, {Field::kDestination4}, "to", false)));

  CHECK(own.passes("127.0.0.9"));

  CHECK(own.there.receive() == "127.0.0.1:6000");
}
