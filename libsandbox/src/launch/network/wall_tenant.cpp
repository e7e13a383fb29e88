// SPDX-License-Identifier: Apache-2.0
//
// What of the firewall is one sandbox's.
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "launch/network/wall.hpp"
#include "launch/network/wall_parts.hpp"

namespace sbx::detail {
namespace {

using nft::Batch;
using nft::Chain;
using nft::Element;
using nft::Field;
using nft::Rule;
using nft::Set;
using nft::Table;
using nft::Value;
using nft::Verdict;

// What a rate may be exceeded by for a moment: some packets of the largest size that are not cut up
// yet.
constexpr std::uint32_t kBurstBytes = 1U << 20;

/// Of a sandbox's own: chains by these names and its number.
std::string own_chain(const char* what, const Tenant& tenant) {
  return fmt::format("{}_{}", what, tenant.slot);
}

struct Decision {
  Destination destination;
  bool allows;
};

/// The order in which they are asked: the narrowest first.
bool comes_first(const Decision& one, const Decision& other) {
  const auto rank = [](const Decision& d) {
    return std::tuple(d.destination.block.length, d.destination.port.has_value(), !d.allows);
  };
  return rank(one) > rank(other);
}

std::vector<Decision> decisions_of(const Network& network) {
  std::vector<Decision> all;
  for (const Destination& each : network.allow) all.push_back({each, true});
  for (const Destination& each : network.deny) all.push_back({each, false});
  std::stable_sort(all.begin(), all.end(), comes_first);
  return all;
}

bool is_exact(const Destination& destination) {
  return destination.block.length == destination.block.address.bits();
}

void add_decision(Batch& batch, const Table& table, const std::string& chain,
                  const Decision& decision) {
  const auto [destination, allows] = decision;
  const FamilyParts& family = parts_of(destination.block.address);
  Rule rule;
  rule.within(family.destination, {destination.block.first(), destination.block.length});
  if (!destination.port) {
    batch.add(table, chain, rule.go_to(allows ? kPassedChain : kRefusedChain));
    return;
  }
  for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
    Rule with_port = rule;
    with_port.equals(Field::kProtocol, byte_value(protocol))
        .equals(Field::kDestinationPort, port_value(*destination.port));
    batch.add(table, chain, with_port.go_to(allows ? kPassedChain : kRefusedChain));
  }
}

/// The chains that a sandbox has for itself, each with the verdict maps that lead there.
struct OwnChains {
  explicit OwnChains(const Tenant& tenant)
      : has_policy(!tenant.network.internet || !tenant.network.allow.empty() ||
                   !tenant.network.deny.empty()),
        has_limit(tenant.network.connections_max != Network{}.connections_max),
        has_rate(tenant.network.rate_bits_per_second != 0),
        decisions(decisions_of(tenant.network)),
        has_near(std::any_of(decisions.begin(), decisions.end(),
                             [](const Decision& d) { return is_exact(d.destination); })) {
    if (has_policy) policy = own_chain("policy", tenant);
    if (has_limit) limit = own_chain("limit", tenant);
    if (has_limit) reached = own_chain("reached", tenant);
    if (has_near) near = own_chain("near", tenant);
    if (has_rate) rate = own_chain("rate", tenant);
  }

  bool has_policy;
  bool has_limit;
  bool has_rate;
  std::string policy;
  std::string limit;
  std::string reached;
  std::string near;
  std::string rate;
  std::vector<Decision> decisions;
  bool has_near;
};

void add_policy(Batch& batch, const Table& table, const Tenant& tenant, const OwnChains& own) {
  if (!own.has_policy) return;
  batch.add(table, Chain{.name = own.policy});
  for (const Decision& each : own.decisions) add_decision(batch, table, own.policy, each);
  batch.add(table, own.policy,
            Rule().go_to(tenant.network.internet ? kInternetChain : kRefusedChain));
}

void add_near(Batch& batch, const Table& table, const OwnChains& own) {
  if (!own.has_near) return;
  batch.add(table, Chain{.name = own.near});
  for (const Decision& each : own.decisions) {
    if (is_exact(each.destination)) add_decision(batch, table, own.near, each);
  }
}

void add_limit(Batch& batch, const Table& table, const Tenant& tenant, const OwnChains& own) {
  if (!own.has_limit) return;
  batch.add(table, Chain{.name = own.limit});
  limit_connections(batch, table, own.limit, Side::kBegins, tenant.network.connections_max);
  batch.add(table, Chain{.name = own.reached});
  limit_connections(batch, table, own.reached, Side::kReached, tenant.network.connections_max);
  batch.add(table, own.reached, Rule().go_to(kPassedChain));
}

void add_rate(Batch& batch, const Table& table, const Tenant& tenant, const OwnChains& own) {
  if (!own.has_rate) return;
  batch.add(table, Chain{.name = own.rate});
  const std::uint64_t bytes = std::max<std::uint64_t>(tenant.network.rate_bits_per_second / 8, 1);
  batch.add(table, own.rate, Rule().rate_over(bytes, kBurstBytes).drop());
  batch.add(table, own.rate, Rule().accept());
}

using Elements = std::vector<std::pair<const Set*, std::vector<Element>>>;

void add_addresses(Elements& elements, const TenantAddresses& addresses, const OwnChains& own) {
  for (const IpAddress& address : {addresses.ipv4, addresses.ipv6}) {
    const FamilyParts& family = parts_of(address);
    const Value key(address);
    const auto directions = [&address] {
      return std::vector<Element>{{.key = Value(address).add_byte(kOriginal)},
                                  {.key = Value(address).add_byte(kReply)}};
    };
    // What leads to a chain has the kernel check all of the table's: who asks for nothing special
    // has no such element, or a start would cost more the more others there are.
    elements.emplace_back(
        &family.pins, std::vector<Element>{
                          {.key = Value().add_name(addresses.entry).add(addresses.mac).add(address),
                           .data = own.has_rate ? Verdict::go_to(own.rate) : Verdict::accept()}});
    if (own.has_policy) {
      elements.emplace_back(&family.policies,
                            std::vector<Element>{{.key = key, .data = Verdict::go_to(own.policy)}});
    } else {
      elements.emplace_back(&family.standard, std::vector<Element>{{.key = key}});
    }
    if (own.has_limit) {
      elements.emplace_back(&family.limits,
                            std::vector<Element>{{.key = key, .data = Verdict::go_to(own.limit)}});
      elements.emplace_back(
          &family.reached_limits,
          std::vector<Element>{{.key = key, .data = Verdict::go_to(own.reached)}});
    }
    elements.emplace_back(&family.own, std::vector<Element>{{.key = Value(address).add(address)}});
    if (own.has_near) {
      elements.emplace_back(&family.exact,
                            std::vector<Element>{{.key = key, .data = Verdict::jump(own.near)}});
    }
    elements.emplace_back(&family.sent, directions());
    elements.emplace_back(&family.received, directions());
  }
}

void add_published(Elements& elements, const TenantAddresses& addresses, const Network& network) {
  for (const PublishedPort& each : network.publish) {
    const auto protocol = static_cast<std::uint8_t>(each.protocol);
    for (const IpAddress& inside : {addresses.ipv4, addresses.ipv6}) {
      if (each.address && each.address->family() != inside.family()) continue;
      const FamilyParts& family = parts_of(inside);
      Value key;
      if (each.address) key.add(*each.address);
      key.add_byte(protocol).add_port(each.host_port);
      elements.emplace_back(
          each.address ? &family.published_at : &family.published,
          std::vector<Element>{{.key = key, .data = Value(inside).add_port(each.inner_port)}});
    }
  }
}

Elements elements_of(const Wall& wall, const Tenant& tenant, const OwnChains& own) {
  const TenantAddresses addresses(wall.names, wall.pools, tenant);
  Elements elements;
  elements.reserve(16);
  add_addresses(elements, addresses, own);
  add_published(elements, addresses, tenant.network);
  if (!tenant.on_bridge()) {
    elements.emplace_back(&forged_set(),
                          std::vector<Element>{{.key = Value().add_name(addresses.link)}});
  }
  return elements;
}

Elements port_elements_of(const Wall& wall, const Tenant& tenant) {
  if (!tenant.on_bridge()) return {};
  const TenantAddresses addresses(wall.names, wall.pools, tenant);
  Elements elements;
  for (const IpAddress& address : {addresses.ipv4, addresses.ipv6}) {
    elements.emplace_back(
        &parts_of(address).port_pins,
        std::vector<Element>{
            {.key = Value().add_name(addresses.link).add(addresses.mac).add(address)}});
  }
  elements.emplace_back(&forged_set(),
                        std::vector<Element>{{.key = Value().add_name(addresses.link)}});
  return elements;
}

PacketCount count_of(const nft::Nftables& tables, const Table& table, const Set& set,
                     const Value& key) {
  const auto found = tables.element(table, set, key);
  if (!found || !found->counter) return {};
  return {.bytes = found->counter->bytes, .packets = found->counter->packets};
}

}  // namespace

void admit(Batch& batch, const Wall& wall, const Tenant& tenant) {
  const Table table = wall.names.filter();
  const OwnChains own(tenant);
  add_policy(batch, table, tenant, own);
  add_limit(batch, table, tenant, own);
  add_near(batch, table, own);
  add_rate(batch, table, tenant, own);
  for (const auto& [set, elements] : elements_of(wall, tenant, own)) {
    batch.add(table, *set, elements);
  }
  for (const auto& [set, elements] : port_elements_of(wall, tenant)) {
    batch.add(wall.names.ports(), *set, elements);
  }
}

void dismiss(Batch& batch, const Wall& wall, const Tenant& tenant) {
  const Table table = wall.names.filter();
  const OwnChains own(tenant);
  for (const auto& [set, elements] : port_elements_of(wall, tenant)) {
    batch.remove(wall.names.ports(), *set, elements);
  }
  for (const auto& [set, elements] : elements_of(wall, tenant, own)) {
    batch.remove(table, *set, elements);
  }
  if (own.has_policy) batch.remove_chain(table, own.policy);
  if (own.has_limit) batch.remove_chain(table, own.limit).remove_chain(table, own.reached);
  if (own.has_near) batch.remove_chain(table, own.near);
  if (own.has_rate) batch.remove_chain(table, own.rate);
}

void forget_connections(nft::Nftables& tables, const Wall& wall, const Tenant& tenant) {
  const TenantAddresses addresses(wall.names, wall.pools, tenant);
  nft::Batch batch;
  for (const IpAddress& address : {addresses.ipv4, addresses.ipv6}) {
    const Element element{.key = Value(address)};
    for (const Set* set : {&parts_of(address).connections, &parts_of(address).reached}) {
      if (tables.element(wall.names.filter(), *set, element.key)) {
        batch.remove(wall.names.filter(), *set, {element});
      }
    }
  }
  if (!batch.empty()) tables.commit(batch);
}

NetworkUsage read_usage(const nft::Nftables& tables, const Wall& wall, const Tenant& tenant) {
  const TenantAddresses addresses(wall.names, wall.pools, tenant);
  const auto read = [&](const IpAddress& address, std::uint8_t outward) -> TrafficCount {
    const FamilyParts& family = parts_of(address);
    const auto inward = static_cast<std::uint8_t>(1 - outward);
    const Table table = wall.names.filter();
    return {
        .received = count_of(tables, table, family.received, Value(address).add_byte(inward)),
        .sent = count_of(tables, table, family.sent, Value(address).add_byte(outward)),
    };
  };
  const Table drops = tenant.on_bridge() ? wall.names.ports() : wall.names.filter();
  return {
      .internet4 = read(addresses.ipv4, kOriginal),
      .internet6 = read(addresses.ipv6, kOriginal),
      .published4 = read(addresses.ipv4, kReply),
      .published6 = read(addresses.ipv6, kReply),
      .forged_packets =
          count_of(tables, drops, forged_set(), Value().add_name(addresses.link)).packets,
  };
}

}  // namespace sbx::detail
