// SPDX-License-Identifier: Apache-2.0
#include "launch/network/wall.hpp"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

#include "launch/network/resolver.hpp"
#include "launch/network/wall_parts.hpp"

namespace sbx::detail {
namespace {

using nft::Batch;
using nft::Chain;
using nft::ChainType;
using nft::Element;
using nft::Field;
using nft::Hook;
using nft::Rule;
using nft::Set;
using nft::Table;
using nft::Value;

constexpr std::uint16_t kDomain = 53;
constexpr std::uint32_t kLocalAddress = 2;  // RTN_LOCAL

/// Nobody's on the internet: private, the link's own, several's, reserved, and what leads to any of
/// those by another name.
constexpr const char* kPrivateBlocks[] = {
    "0.0.0.0/8",     "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",  "192.168.0.0/16", "198.18.0.0/15",  "224.0.0.0/3",
    "::/96",         "::ffff:0:0/96", "64:ff9b::/96",   "64:ff9b:1::/48", "2002::/16",
    "fc00::/7",      "fe80::/10",     "fec0::/10",      "ff00::/8",
};

IpAddress last_of(const IpPrefix& block) {
  std::array<std::uint8_t, 16> bytes{};
  const auto first = block.first();
  std::copy(first.bytes().begin(), first.bytes().end(), bytes.begin());
  for (unsigned bit = block.length; bit < first.bits(); ++bit) {
    bytes[bit / 8] |= static_cast<std::uint8_t>(0x80U >> (bit % 8));
  }
  if (first.family() == IpFamily::kIpv6) return IpAddress(std::span<const std::uint8_t, 16>(bytes));
  return IpAddress(std::span<const std::uint8_t, 4>(bytes.data(), 4));
}

/// The making of one table: who adds chains and rules to it names them alone.
class Builder {
 public:
  Builder(Batch& batch, Table table) : batch_(batch), table_(std::move(table)) {
    // Emptied, if one was there: it cannot be removed before it is known to be.
    batch_.add(table_).remove(table_).add(table_);
  }

  void set(const Set& set) { batch_.add(table_, set); }

  void chain(const char* name) { batch_.add(table_, Chain{.name = name}); }

  void base(const char* name, ChainType type, Hook hook, int priority) {
    batch_.add(table_,
               Chain{.name = name,
                     .base = nft::BaseChain{.type = type, .hook = hook, .priority = priority}});
  }

  void rule(const char* chain, const Rule& rule) { batch_.add(table_, chain, rule); }

  void limit_connections(const char* chain, Side side, std::uint32_t most) {
    detail::limit_connections(batch_, table_, chain, side, most);
  }

  void elements(const Set& set, const std::vector<Element>& elements) {
    batch_.add(table_, set, elements);
  }

 private:
  Batch& batch_;
  Table table_;
};

// Before fragments are put together: parts of a packet that several sandboxes have sent would look
// as if all were of the one that has sent the last.
constexpr int kBeforeDefragmentation = -450;
constexpr int kRaw = -300;  // in a bridge, where no fragment waits
constexpr int kDestinationNat = -100;
constexpr int kSourceNat = 100;
// After the filters of others: what those drop is not counted.
constexpr int kFilter = 50;
constexpr std::uint32_t kKnown = nft::kEstablished | nft::kRelated;

void build_sets(Builder& wall) {
  wall.set(forged_set());
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    for (const Set* set :
         {&each->pins, &each->standard, &each->policies, &each->exact, &each->sent, &each->received,
          &each->limits, &each->own, &each->closed, &each->connections, &each->reached_limits,
          &each->reached, &each->published, &each->published_at, &each->private_blocks,
          &each->name_servers}) {
      wall.set(*set);
    }
  }
  for (const char* text : kPrivateBlocks) {
    const IpPrefix block = IpPrefix::parse(text);
    wall.elements(parts_of(block.address).private_blocks,
                  {{.key = Value(block.first()), .key_end = Value(last_of(block))}});
  }
}

/// The group of all our links: by their names a packet is asked half a dozen times, and a number
/// costs a tenth of that.
Value ours_of(const Wall& wall) { return Value().add_number(wall.names.group); }

/// What begins most rules for packets of connections that were let through: a comparison of the
/// whole, which costs less than that of a bit.
Rule of_established() {
  return Rule().equals(Field::kState, Value().add_number(nft::kEstablished));
}

/// Where everything ends that a sandbox sends or gets, but for the packets that the rules before
/// have counted themselves: for each look-up is dear, and most packets need one.
void build_passed(Builder& wall) {
  wall.chain(kPassedChain);
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule(kPassedChain, Rule().in({each->source, Field::kDirection}, each->sent.name));
    wall.rule(kPassedChain, Rule().in({each->destination, Field::kDirection}, each->received.name));
  }
  wall.rule(kPassedChain, Rule().accept());
}

/// The questions that the host's name servers answer; and those to one on its loopback, which were
/// asked at resolver_address().
std::vector<Rule> questions() {
  std::vector<Rule> rules;
  for (const std::uint8_t protocol : {IPPROTO_UDP, IPPROTO_TCP}) {
    const auto question = Rule()
                              .equals(Field::kProtocol, byte_value(protocol))
                              .equals(Field::kDestinationPort, port_value(kDomain));
    for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
      rules.push_back(Rule(question).in({each->destination}, each->name_servers.name));
    }
    rules.push_back(Rule(question)
                        .within(Field::kDestination4, IpPrefix::parse("127.0.0.0/8"))
                        .has_any(Field::kStatus, nft::kDestinationTranslated));
  }
  return rules;
}

/// Where a sandbox may connect to: what it goes on to from its own rules, or if it has none.
void build_policies(Builder& wall) {
  for (const char* chain : {kRefusedChain, kInternetChain, kStandardLimitChain}) wall.chain(chain);
  // A connection that is refused by ICMP while it is begun is noticed a second later by Linux: the
  // answer comes before connect(2) is done with sending.
  wall.rule(kRefusedChain, Rule().equals(Field::kProtocol, byte_value(IPPROTO_TCP)).reset());
  wall.rule(kRefusedChain, Rule().reject());

  for (Rule& question : questions()) wall.rule(kInternetChain, question.go_to(kPassedChain));
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule(kInternetChain,
              Rule().in({each->destination}, each->private_blocks.name).go_to(kRefusedChain));
  }
  wall.rule(kInternetChain, Rule().go_to(kPassedChain));

  wall.limit_connections(kStandardLimitChain, Side::kBegins, Network{}.connections_max);
}

/// What reaches a published port: not more at a time than the sandbox may begin itself, so that
/// nobody fills the host's memory of connections by way of it. Counted apart: who floods it from
/// outside takes none of the sandbox's own.
void build_reached(Builder& wall) {
  for (const char* chain : {kReachedChain, kStandardReachedChain}) wall.chain(chain);
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule(kReachedChain, Rule().verdict_map({each->destination}, each->reached_limits.name));
  }
  wall.rule(kReachedChain, Rule().go_to(kStandardReachedChain));
  wall.limit_connections(kStandardReachedChain, Side::kReached, Network{}.connections_max);
  wall.rule(kStandardReachedChain, Rule().go_to(kPassedChain));
}

/// What belongs to a connection that was let through, of all that a sandbox sends; and the limit of
/// those that it begins.
void build_known(Builder& wall) {
  wall.chain("known");
  wall.rule("known", of_established().go_to(kPassedChain));
  // An error may tell of any connection: of others, and of the host's in its inner network. A
  // sandbox tells of its own alone.
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    for (const Field side : {each->original_source, each->reply_source}) {
      wall.rule("known", Rule()
                             .has_any(Field::kState, nft::kRelated)
                             .in({each->source, side}, each->own.name)
                             .go_to(kPassedChain));
    }
  }
  // What is not tracked (ICMPv6 for neighbours and routers, to whomever) is not translated either.
  constexpr std::uint32_t kNoConnection = nft::kInvalid | nft::kUntracked;
  wall.rule("known", Rule().has_any(Field::kState, nft::kRelated | kNoConnection).drop());
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("known", Rule().verdict_map({each->source}, each->limits.name));
  }
  wall.rule("known", Rule().jump(kStandardLimitChain));
}

/// Who sends: before anything is remembered about a packet.
void build_entry(Builder& wall, const Value& ours) {
  wall.base("entry", ChainType::kFilter, Hook::kPrerouting, kBeforeDefragmentation);
  wall.rule("entry", Rule().differs(Field::kInputGroup, ours).accept());
  // The links let packets to the host's loopback in for the sake of published ports: nobody sends
  // such.
  wall.rule("entry", Rule().within(Field::kDestination4, IpPrefix::parse("127.0.0.0/8")).drop());
  wall.rule("entry", Rule().within(Field::kDestination6, IpPrefix::parse("::1")).drop());
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("entry", Rule().verdict_map({Field::kInputName, Field::kEtherSource, each->source},
                                          each->pins.name));
  }
  // A kernel with a new link speaks to routers and switches before it has an address.
  wall.rule("entry", Rule().within(Field::kSource6, IpPrefix::parse("::")).drop());
  wall.rule("entry", Rule().in({Field::kInputName}, forged_set().name).drop());
  wall.rule("entry", Rule().drop());
}

void build_forward(Builder& wall, const Wall& about) {
  const Value ours = ours_of(about);
  wall.base("forward", ChainType::kFilter, Hook::kForward, kFilter);
  for (const char* chain : {"from_sandbox", "to_sandbox", "near", "far"}) wall.chain(chain);
  wall.rule("forward", Rule().equals(Field::kInputGroup, ours).go_to("from_sandbox"));
  wall.rule("forward", Rule().equals(Field::kOutputGroup, ours).go_to("to_sandbox"));
  // To a sandbox whose link is gone, which would take the way to the internet; and the kernel would
  // remember the connection to its port, for whoever has the address next.
  for (const IpPrefix& pool : {about.pools.ipv4, about.pools.ipv6}) {
    wall.rule(
        "forward",
        Rule().within(parts_of(pool.address).destination, {pool.first(), pool.length}).drop());
  }

  // What the host did not pass on before it does not pass on for the sandboxes' sake.
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("forward", Rule()
                             .equals(Field::kFamily, byte_value(each->number))
                             .in({Field::kInputName}, each->closed.name)
                             .in({Field::kOutputName}, each->closed.name)
                             .drop());
  }

  // What goes out: a packet between two sandboxes is counted for both.
  for (const IpPrefix& pool : {about.pools.ipv4, about.pools.ipv6}) {
    const FamilyParts& family = parts_of(pool.address);
    wall.rule("from_sandbox", of_established()
                                  .outside(family.destination, {pool.first(), pool.length})
                                  .in({family.source, Field::kDirection}, family.sent.name)
                                  .accept());
  }
  wall.rule("from_sandbox", Rule().jump("known"));
  // Another sandbox: its published ports, which all may reach, and what is allowed by its address.
  const auto to_another = Rule().equals(Field::kOutputGroup, ours);
  wall.rule(
      "from_sandbox",
      Rule(to_another).has_any(Field::kStatus, nft::kDestinationTranslated).go_to(kReachedChain));
  wall.rule("from_sandbox", Rule(to_another).go_to("near"));
  wall.rule("from_sandbox", Rule().go_to("far"));

  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("near", Rule().verdict_map({each->source}, each->exact.name));
    wall.rule("far", Rule().in({each->source}, each->standard.name).go_to(kInternetChain));
    wall.rule("far", Rule().verdict_map({each->source}, each->policies.name));
  }
  wall.rule("near", Rule().go_to(kRefusedChain));
  wall.rule("far", Rule().go_to(kRefusedChain));

  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule(
        "to_sandbox",
        of_established().in({each->destination, Field::kDirection}, each->received.name).accept());
  }
  wall.rule("to_sandbox", Rule().has_any(Field::kState, kKnown).go_to(kPassedChain));
  wall.rule("to_sandbox",
            Rule().has_any(Field::kStatus, nft::kDestinationTranslated).go_to(kReachedChain));
  wall.rule("to_sandbox", Rule().drop());
}

/// The host itself: its services are not a sandbox's to use, nor the other way round.
void build_host(Builder& wall, const Value& ours) {
  wall.base("input", ChainType::kFilter, Hook::kInput, kFilter);
  wall.rule("input", Rule().differs(Field::kInputGroup, ours).accept());
  wall.rule("input", Rule().jump("known"));
  for (Rule& question : questions()) wall.rule("input", question.go_to("far"));
  wall.rule("input", Rule().go_to("near"));

  wall.base("output", ChainType::kFilter, Hook::kOutput, kFilter);
  wall.chain("to_published");
  wall.rule("output", Rule().differs(Field::kOutputGroup, ours).go_to("to_published"));
  wall.rule("output", Rule().has_any(Field::kState, kKnown).go_to(kPassedChain));
  wall.rule("output",
            Rule().has_any(Field::kStatus, nft::kDestinationTranslated).go_to(kReachedChain));
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("output", Rule()
                            .equals(Field::kProtocol, byte_value(each->echo_protocol))
                            .equals(Field::kIcmpType, byte_value(each->echo_request))
                            .go_to(kPassedChain));
  }
  wall.rule("output", Rule().go_to(kRefusedChain));
  // Its way has changed with its destination, but here it still seems to take the old one.
  wall.rule("to_published",
            Rule().has_any(Field::kStatus, nft::kDestinationTranslated).go_to(kReachedChain));
}

void build_nat(Builder& wall, const Wall& about) {
  const Value ours = ours_of(about);
  wall.base("publish", ChainType::kNat, Hook::kPrerouting, kDestinationNat);
  wall.base("publish_local", ChainType::kNat, Hook::kOutput, kDestinationNat);
  wall.chain("published");
  wall.chain("ask");
  const auto to_host = Rule().equals(Field::kDestinationType, Value().add_number(kLocalAddress));
  wall.rule("publish", Rule(to_host).jump("published"));
  wall.rule("publish_local", Rule(to_host).jump("published"));
  wall.rule("publish", Rule()
                           .equals(Field::kInputGroup, ours)
                           .within(Field::kDestination4, {resolver_address(), 32})
                           .jump("ask"));
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    wall.rule("published",
              Rule().destination_nat_map(
                  each->family, {each->destination, Field::kProtocol, Field::kDestinationPort},
                  each->published_at.name, true));
    wall.rule("published",
              Rule().destination_nat_map(each->family, {Field::kProtocol, Field::kDestinationPort},
                                         each->published.name, true));
  }

  wall.base("translate", ChainType::kNat, Hook::kPostrouting, kSourceNat);
  // Of the host's own connections: to the port of a sandbox whose link is gone, which would take
  // the way to the internet. Only here their way is known that has changed with their destination.
  for (const IpPrefix& pool : {about.pools.ipv4, about.pools.ipv6}) {
    wall.rule("translate",
              Rule()
                  .differs(Field::kOutputGroup, ours)
                  .within(parts_of(pool.address).destination, {pool.first(), pool.length})
                  .has_any(Field::kStatus, nft::kDestinationTranslated)
                  .drop());
  }
  for (const char* loopback : {"127.0.0.0/8", "::1"}) {
    const IpPrefix block = IpPrefix::parse(loopback);
    wall.rule("translate", Rule()
                               .equals(Field::kOutputGroup, ours)
                               .within(parts_of(block.address).source, block)
                               .masquerade());
  }
  for (const IpPrefix& pool : {about.pools.ipv4, about.pools.ipv6}) {
    wall.rule("translate", Rule()
                               .differs(Field::kOutputGroup, ours)
                               .within(parts_of(pool.address).source, {pool.first(), pool.length})
                               .masquerade());
  }
}

}  // namespace

void build_wall(Batch& batch, const Wall& wall) {
  Builder builder(batch, wall.names.filter());
  build_sets(builder);
  build_entry(builder, ours_of(wall));
  build_passed(builder);
  build_policies(builder);
  build_reached(builder);
  build_known(builder);
  build_forward(builder, wall);
  build_host(builder, ours_of(wall));
  build_nat(builder, wall);
}

void build_port_wall(Batch& batch, const Wall& wall) {
  Builder builder(batch, wall.names.ports());
  builder.set(forged_set());
  builder.base("entry", ChainType::kFilter, Hook::kPrerouting, kRaw);
  builder.rule("entry", Rule().differs(Field::kInputGroup, ours_of(wall)).accept());
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    builder.set(each->port_pins);
    builder.rule("entry", Rule()
                              .in({Field::kInputName, Field::kEtherSource, each->source},
                                  each->port_pins.name)
                              .accept());
  }
  // Whoever asks for Ethernet addresses, tells them or speaks to all at once included: each knows
  // the one address that it needs.
  builder.rule("entry", Rule().within(Field::kSource6, IpPrefix::parse("::")).drop());
  builder.rule("entry", Rule().in({Field::kInputName}, forged_set().name).drop());
  builder.rule("entry", Rule().drop());
}

void keep_closed(Batch& batch, const Wall& wall, const ClosedLinks& links) {
  const auto add = [&](const Set& set, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      batch.add(wall.names.filter(), set, {{.key = Value().add_name(name)}});
    }
  };
  add(ipv4_parts().closed, links.ipv4);
  add(ipv6_parts().closed, links.ipv6);
}

void admit_name_servers(Batch& batch, const Wall& wall, const std::vector<IpAddress>& servers) {
  const Table table = wall.names.filter();
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()})
    batch.flush_set(table, each->name_servers.name);
  batch.flush_chain(table, "ask");
  for (const IpAddress& server : servers) {
    if (!server.is_loopback()) {
      batch.add(table, parts_of(server).name_servers, {{.key = Value(server)}});
      continue;
    }
    for (const std::uint8_t protocol : {IPPROTO_UDP, IPPROTO_TCP}) {
      batch.add(table, "ask",
                Rule()
                    .equals(Field::kProtocol, byte_value(protocol))
                    .equals(Field::kDestinationPort, port_value(kDomain))
                    .destination_nat(server));
    }
  }
}

}  // namespace sbx::detail
