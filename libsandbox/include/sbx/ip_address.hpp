// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sbx/api.hpp"

namespace sbx {

enum class IpFamily : std::uint8_t { kIpv4, kIpv6 };

/// An IPv4 or IPv6 address.
class SBX_API IpAddress {
 public:
  /// 0.0.0.0.
  IpAddress() noexcept = default;

  /// From 4 or 16 bytes in network order.
  explicit IpAddress(std::span<const std::uint8_t, 4> bytes) noexcept;
  explicit IpAddress(std::span<const std::uint8_t, 16> bytes) noexcept;

  /// "192.0.2.1" or "2001:db8::1", as inet_pton(3) reads them. Throws std::invalid_argument.
  static IpAddress parse(std::string_view text);

  [[nodiscard]] IpFamily family() const noexcept { return family_; }

  /// 4 or 16 bytes in network order; they live as long as the address.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept;

  /// Of the family: 32 or 128.
  [[nodiscard]] unsigned bits() const noexcept { return family_ == IpFamily::kIpv4 ? 32 : 128; }

  /// True for 127.0.0.0/8 and ::1.
  [[nodiscard]] bool is_loopback() const noexcept;

  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  IpFamily family_ = IpFamily::kIpv4;
  std::array<std::uint8_t, 16> bytes_{};
};

/// A block of addresses: those that have their first `length` bits in common with `address`, or the
/// address of an interface together with its block.
struct SBX_API IpPrefix {
  IpAddress address{};
  unsigned length = 0;

  /// "10.0.0.0/8", or an address alone, which is a block of one. Throws std::invalid_argument.
  static IpPrefix parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
  [[nodiscard]] bool contains(const IpPrefix& other) const noexcept;
  [[nodiscard]] bool overlaps(const IpPrefix& other) const noexcept;

  /// The first address of the block: bits after `length` are 0.
  [[nodiscard]] IpAddress first() const noexcept;

  /// first() and `number`; bits that do not fit into the block are lost.
  [[nodiscard]] IpAddress at(std::uint64_t number) const noexcept;

  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

/// The address of an Ethernet interface.
struct SBX_API MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  /// "02:00:5e:10:00:01". Throws std::invalid_argument.
  static MacAddress parse(std::string_view text);

  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace sbx
