// SPDX-License-Identifier: Apache-2.0
#include "network/packets.hpp"

#include <netinet/in.h>

#include <cstddef>

namespace sbx::test {
namespace {

Bytes number16(std::size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

Bytes number32(std::size_t value) { return number16(value >> 16) + number16(value & 0xffff); }

Bytes byte(std::uint8_t value) { return {static_cast<char>(value)}; }

Bytes checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = static_cast<std::uint8_t>(bytes[i]);
    sum += i % 2 == 0 ? std::uint32_t{value} << 8 : value;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return number16(~sum & 0xffff);
}

/// What a checksum of the transport layer covers besides it.
Bytes pseudo_header(const std::string& from, const std::string& to, std::uint8_t protocol,
                    std::size_t size) {
  const Bytes addresses = address_bytes(from) + address_bytes(to);
  if (is_ipv4(from)) return addresses + byte(0) + byte(protocol) + number16(size);
  return addresses + number32(size) + Bytes(3, '\0') + byte(protocol);
}

Bytes ipv4(const std::string& from, const std::string& to, std::uint8_t protocol,
           const Bytes& payload, const IpFields& fields) {
  const std::size_t header = 20 + fields.options.size();
  const Bytes start = byte(static_cast<std::uint8_t>(0x40 + header / 4)) + byte(0) +
                      number16(header + payload.size()) + number16(fields.id) +
                      number16((fields.more_fragments ? 0x2000U : 0U) + fields.offset / 8U) +
                      byte(fields.ttl) + byte(protocol);
  const Bytes end = address_bytes(from) + address_bytes(to) + fields.options;
  return start + checksum(start + number16(0) + end) + end + payload;
}

Bytes ipv6(const std::string& from, const std::string& to, std::uint8_t protocol,
           const Bytes& payload, const IpFields& fields) {
  Bytes extension;
  if (fields.more_fragments || fields.offset != 0) {
    extension = byte(protocol) + byte(0) +
                number16(fields.offset | (fields.more_fragments ? 1U : 0U)) + number32(fields.id);
    protocol = IPPROTO_FRAGMENT;
  }
  return number32(0x60000000) + number16(extension.size() + payload.size()) + byte(protocol) +
         byte(fields.ttl) + address_bytes(from) + address_bytes(to) + extension + payload;
}

Bytes udp_from(const std::string& from, const std::string& to, std::uint16_t source_port,
               std::uint16_t port, const Bytes& text) {
  const std::size_t size = 8 + text.size();
  const Bytes start = number16(source_port) + number16(port) + number16(size);
  return start + checksum(pseudo_header(from, to, IPPROTO_UDP, size) + start + number16(0) + text) +
         text;
}

}  // namespace

bool is_ipv4(const std::string& address) { return address.find(':') == std::string::npos; }

Bytes address_bytes(const std::string& address) {
  const auto bytes = IpAddress::parse(address);
  const auto span = bytes.bytes();
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}

Bytes mac_bytes(const MacAddress& mac) {
  return {reinterpret_cast<const char*>(mac.bytes.data()), mac.bytes.size()};
}

Bytes ip(const std::string& from, const std::string& to, std::uint8_t protocol,
         const Bytes& payload, const IpFields& fields) {
  return is_ipv4(from) ? ipv4(from, to, protocol, payload, fields)
                       : ipv6(from, to, protocol, payload, fields);
}

Bytes udp_segment(const std::string& from, const std::string& to, std::uint16_t port,
                  const Bytes& text) {
  return udp_from(from, to, 4000, port, text);
}

Bytes udp(const std::string& from, const std::string& to, std::uint16_t port, const Bytes& text,
          const IpFields& fields, std::uint16_t source_port) {
  return ip(from, to, IPPROTO_UDP, udp_from(from, to, source_port, port, text), fields);
}

Bytes tcp(const std::string& from, const std::string& to, std::uint16_t source_port,
          std::uint16_t port, int flags, const Bytes& text) {
  const Bytes start = number16(source_port) + number16(port) + number32(1) + number32(1) +
                      byte(0x50) + byte(static_cast<std::uint8_t>(flags)) + number16(1024);
  const Bytes end = number16(0) + text;
  const Bytes sum =
      checksum(pseudo_header(from, to, IPPROTO_TCP, 20 + text.size()) + start + number16(0) + end);
  return ip(from, to, IPPROTO_TCP, start + sum + end);
}

Bytes icmp(const std::string& from, const std::string& to, std::uint8_t type, std::uint8_t code,
           const Bytes& rest, const IpFields& fields) {
  const std::uint8_t protocol = is_ipv4(from) ? 1 : 58;
  const Bytes covered =
      is_ipv4(from) ? Bytes() : pseudo_header(from, to, protocol, 4 + rest.size());
  const Bytes start = byte(type) + byte(code);
  return ip(from, to, protocol, start + checksum(covered + start + number16(0) + rest) + rest,
            fields);
}

Bytes igmp_report(const std::string& from, const std::string& group) {
  const Bytes start = {0x16, 0};
  const Bytes end = address_bytes(group);
  return ip(from, group, IPPROTO_IGMP, start + checksum(start + number16(0) + end) + end,
            {.ttl = 1});
}

Bytes arp(std::uint16_t operation, const MacAddress& sender, const std::string& sender_ip,
          const MacAddress& target, const std::string& target_ip) {
  return number16(1) + number16(kTypeIpv4) + byte(6) + byte(4) + number16(operation) +
         mac_bytes(sender) + address_bytes(sender_ip) + mac_bytes(target) +
         address_bytes(target_ip);
}

Bytes frame(const MacAddress& from, const MacAddress& to, std::uint16_t type,
            const Bytes& payload) {
  return mac_bytes(to) + mac_bytes(from) + number16(type) + payload;
}

}  // namespace sbx::test
