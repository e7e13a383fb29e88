// SPDX-License-Identifier: Apache-2.0
//
// The sets of the firewall's tables, and the words that their rules are written in.
#pragma once

#include <cstdint>

#include "sbx/ip_address.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Everything of which there is one for each family of addresses.
struct FamilyParts {
  IpFamily family;
  std::uint8_t number;  // NFPROTO_*
  nft::Type address;
  nft::Field source;
  nft::Field destination;
  nft::Field original_source;  // of the connection that a packet belongs to
  nft::Field reply_source;
  std::uint8_t echo_protocol;  // ping(8)'s
  std::uint8_t echo_request;

  // Interface, Ethernet address, address -> what a packet of a sandbox goes on to; and for the
  // ports of the bridge, where they are a set.
  nft::Set pins, port_pins;
  nft::Set standard;        // addresses of sandboxes that may connect to the internet, and no more
  nft::Set policies;        // another's -> the chain that says where it may connect to
  nft::Set exact;           // likewise -> to the host and to other sandboxes
  nft::Set limits;          // likewise -> how many connections it may have, if not the usual number
  nft::Set own;             // a sandbox's address twice
  nft::Set closed;          // interfaces of the host's that nothing passes between
  nft::Set sent, received;  // counters, for a sandbox's address and the direction
  nft::Set connections;     // under way, by the address of the sandbox that has begun them
  nft::Set reached_limits;  // as limits, for those from outside
  nft::Set reached;         // these, by the address of the sandbox whose port they are for
  nft::Set published;       // protocol, port -> a sandbox's address and port
  nft::Set published_at;    // address of the host, protocol, port -> the same
  nft::Set private_blocks;
  nft::Set name_servers;
};

const FamilyParts& ipv4_parts();
const FamilyParts& ipv6_parts();

inline const FamilyParts& parts_of(const IpAddress& address) {
  return address.family() == IpFamily::kIpv4 ? ipv4_parts() : ipv6_parts();
}

/// Counts the packets of one interface that were dropped for their addresses.
const nft::Set& forged_set();

// Directions of a connection.
inline constexpr std::uint8_t kOriginal = 0;
inline constexpr std::uint8_t kReply = 1;

inline nft::Value byte_value(std::uint8_t value) { return nft::Value().add_byte(value); }
inline nft::Value port_value(std::uint16_t port) { return nft::Value().add_port(port); }

/// Chains of all sandboxes that those of one go on to.
inline constexpr const char* kPassedChain = "passed";  // counts what is let through
inline constexpr const char* kInternetChain = "internet";
inline constexpr const char* kStandardLimitChain = "standard_limit";
inline constexpr const char* kRefusedChain = "refused";
inline constexpr const char* kReachedChain = "reached";
inline constexpr const char* kStandardReachedChain = "standard_reached";

/// What a sandbox is in a connection.
enum class Side { kBegins, kReached };

/// Lets a chain drop what would be one of more than `most` connections in which a sandbox is that.
void limit_connections(nft::Batch& batch, const nft::Table& table, const std::string& chain,
                       Side side, std::uint32_t most);

}  // namespace sbx::detail
