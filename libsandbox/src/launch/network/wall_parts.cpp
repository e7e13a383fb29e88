// SPDX-License-Identifier: Apache-2.0
#include "launch/network/wall_parts.hpp"

#include <netinet/in.h>

#include <string>

#include "launch/network/tenant.hpp"

namespace sbx::detail {
namespace {

using nft::Field;
using nft::Type;

FamilyParts make_parts(IpFamily family) {
  const bool v4 = family == IpFamily::kIpv4;
  const Type address = v4 ? Type::kIpv4 : Type::kIpv6;
  const auto name = [v4](const char* base) { return base + std::string(v4 ? "4" : "6"); };
  return {
      .family = family,
      .number = static_cast<std::uint8_t>(v4 ? nft::Family::kIpv4 : nft::Family::kIpv6),
      .address = address,
      .source = v4 ? Field::kSource4 : Field::kSource6,
      .destination = v4 ? Field::kDestination4 : Field::kDestination6,
      .original_source = v4 ? Field::kOriginalSource4 : Field::kOriginalSource6,
      .reply_source = v4 ? Field::kReplySource4 : Field::kReplySource6,
      .echo_protocol = v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6},
      .echo_request = v4 ? std::uint8_t{8} : std::uint8_t{128},
      .pins = {.name = name("pins"),
               .key = {Type::kInterfaceName, Type::kMac, address},
               .verdicts = true},
      .port_pins = {.name = name("pins"), .key = {Type::kInterfaceName, Type::kMac, address}},
      .standard = {.name = name("standard"), .key = {address}},
      .policies = {.name = name("policies"), .key = {address}, .verdicts = true},
      .exact = {.name = name("exact"), .key = {address}, .verdicts = true},
      .limits = {.name = name("limits"), .key = {address}, .verdicts = true},
      .own = {.name = name("own"), .key = {address, address}},
      .closed = {.name = name("closed"), .key = {Type::kInterfaceName}},
      .sent = {.name = name("sent"), .key = {address, Type::kDirection}, .counters = true},
      .received = {.name = name("received"), .key = {address, Type::kDirection}, .counters = true},
      .connections = {.name = name("connections"),
                      .key = {address},
                      .dynamic = true,
                      .max_size = 2 * kLastSlot},
      .reached_limits = {.name = name("reached_limits"), .key = {address}, .verdicts = true},
      .reached = {.name = name("reached"),
                  .key = {address},
                  .dynamic = true,
                  .max_size = 2 * kLastSlot},
      .published = {.name = name("published"),
                    .key = {Type::kProtocol, Type::kPort},
                    .data = {address, Type::kPort}},
      .published_at = {.name = name("published_at"),
                       .key = {address, Type::kProtocol, Type::kPort},
                       .data = {address, Type::kPort}},
      .private_blocks = {.name = name("private"), .key = {address}, .intervals = true},
      .name_servers = {.name = name("name_servers"), .key = {address}},
  };
}

}  // namespace

// None of these is ever ended: somebody may end a sandbox after main().
const FamilyParts& ipv4_parts() {
  static const auto& parts = *new FamilyParts(make_parts(IpFamily::kIpv4));
  return parts;
}

const FamilyParts& ipv6_parts() {
  static const auto& parts = *new FamilyParts(make_parts(IpFamily::kIpv6));
  return parts;
}

const nft::Set& forged_set() {
  static const auto& set =
      *new nft::Set{.name = "forged", .key = {Type::kInterfaceName}, .counters = true};
  return set;
}

void limit_connections(nft::Batch& batch, const nft::Table& table, const std::string& chain,
                       Side side, std::uint32_t most) {
  for (const FamilyParts* each : {&ipv4_parts(), &ipv6_parts()}) {
    const Field sandbox = side == Side::kBegins ? each->source : each->destination;
    const nft::Set& counted = side == Side::kBegins ? each->connections : each->reached;
    batch.add(table, chain, nft::Rule().connections_over({sandbox}, counted.name, most).drop());
  }
}

}  // namespace sbx::detail
