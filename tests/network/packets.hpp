// SPDX-License-Identifier: Apache-2.0
//
// Packets and frames, byte by byte: such as no kernel makes of its own accord.
#pragma once

#include <cstdint>
#include <string>

#include "sbx/ip_address.hpp"

namespace sbx::test {

using Bytes = std::string;  // as they are on the wire

inline constexpr std::uint16_t kTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kTypeArp = 0x0806;
inline constexpr std::uint16_t kTypeVlan = 0x8100;
inline constexpr std::uint16_t kTypeIpv6 = 0x86dd;

// Flags of TCP.
inline constexpr int kFin = 1;
inline constexpr int kSyn = 2;
inline constexpr int kReset = 4;
inline constexpr int kAck = 16;

/// Parts of an IP header that one usually leaves to the kernel.
struct IpFields {
  std::uint8_t ttl = 64;     // or hop limit
  std::uint16_t id = 1;      // of the datagram that a fragment belongs to
  std::uint16_t offset = 0;  // of a fragment: bytes
  bool more_fragments = false;
  Bytes options{};  // of IPv4: a multiple of 4 bytes
};

// Packets; the family is that of `from`.
Bytes ip(const std::string& from, const std::string& to, std::uint8_t protocol,
         const Bytes& payload, const IpFields& fields = {});
Bytes udp(const std::string& from, const std::string& to, std::uint16_t port, const Bytes& text,
          const IpFields& fields = {}, std::uint16_t source_port = 4000);
Bytes tcp(const std::string& from, const std::string& to, std::uint16_t source_port,
          std::uint16_t port, int flags, const Bytes& text = {});
/// ICMP, or ICMPv6 by the family: `rest` is what follows the checksum.
Bytes icmp(const std::string& from, const std::string& to, std::uint8_t type, std::uint8_t code,
           const Bytes& rest, const IpFields& fields = {});
/// That the sender listens to `group`, by the second version of IGMP.
Bytes igmp_report(const std::string& from, const std::string& group);

// What frames carry besides, and frames.
Bytes arp(std::uint16_t operation, const MacAddress& sender, const std::string& sender_ip,
          const MacAddress& target, const std::string& target_ip);
Bytes frame(const MacAddress& from, const MacAddress& to, std::uint16_t type, const Bytes& payload);

/// The UDP header and payload alone, as fragments carry them.
Bytes udp_segment(const std::string& from, const std::string& to, std::uint16_t port,
                  const Bytes& text);

bool is_ipv4(const std::string& address);
Bytes address_bytes(const std::string& address);
Bytes mac_bytes(const MacAddress& mac);

}  // namespace sbx::test
