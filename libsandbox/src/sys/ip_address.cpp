// SPDX-License-Identifier: Apache-2.0
#include "sbx/ip_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx {
namespace {

constexpr std::size_t kMacTextSize = 17;

int socket_family(IpFamily family) { return family == IpFamily::kIpv4 ? AF_INET : AF_INET6; }

std::optional<IpAddress> read_address(std::string_view text) {
  const std::string ended(text);
  // Only to its first NUL would inet_pton(3) read it.
  if (ended.find('\0') != std::string::npos) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET, ended.c_str(), bytes.data()) == 1) {
    return IpAddress(std::span(bytes).first<4>());
  }
  if (::inet_pton(AF_INET6, ended.c_str(), bytes.data()) == 1) return IpAddress(std::span(bytes));
  return std::nullopt;
}

/// The bits of byte `index` that are among the first `length` of an address.
unsigned kept_bits(std::size_t index, unsigned length) {
  const auto before = static_cast<unsigned>(index) * 8;
  const unsigned kept = length <= before ? 0 : std::min(length - before, 8U);
  return 0xffU & (0xffU << (8 - kept));
}

bool same_start(const IpAddress& one, const IpAddress& other, unsigned length) {
  if (one.family() != other.family()) return false;
  for (std::size_t i = 0; i < one.bytes().size(); ++i) {
    if (((one.bytes()[i] ^ other.bytes()[i]) & kept_bits(i, length)) != 0) return false;
  }
  return true;
}

IpAddress from_bytes(IpFamily family, const std::array<std::uint8_t, 16>& bytes) {
  const std::span<const std::uint8_t, 16> all(bytes);
  return family == IpFamily::kIpv4 ? IpAddress(all.first<4>()) : IpAddress(all);
}

std::optional<unsigned> hex_digit(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  if (digit == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(digit);
}

}  // namespace

IpAddress::IpAddress(std::span<const std::uint8_t, 4> bytes) noexcept {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

IpAddress::IpAddress(std::span<const std::uint8_t, 16> bytes) noexcept : family_(IpFamily::kIpv6) {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

IpAddress IpAddress::parse(std::string_view text) {
  if (const auto address = read_address(text)) return *address;
  throw std::invalid_argument(
      fmt::format("'{}' is no IP address: one is like 192.0.2.1 or 2001:db8::1",
                  detail::printable(std::string(text))));
}

std::span<const std::uint8_t> IpAddress::bytes() const noexcept {
  return std::span(bytes_).first(bits() / 8);
}

bool IpAddress::is_loopback() const noexcept {
  if (family_ == IpFamily::kIpv4) return bytes_[0] == 127;
  constexpr std::array<std::uint8_t, 16> kOne{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return bytes_ == kOne;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(socket_family(family_), bytes_.data(), text.data(), text.size());
  return text.data();
}

IpPrefix IpPrefix::parse(std::string_view text) {
  const auto refuse = [text](std::string_view reason) {
    throw std::invalid_argument(fmt::format("'{}' is no block of addresses: {}",
                                            detail::printable(std::string(text)), reason));
  };
  const std::size_t slash = text.find('/');
  const auto address = read_address(text.substr(0, slash));
  if (!address) refuse("one is like 192.0.2.0/24 or 2001:db8::/32");
  if (slash == std::string_view::npos) return {.address = *address, .length = address->bits()};
  const auto length = detail::parse_unsigned(text.substr(slash + 1), address->bits());
  if (!length) refuse(fmt::format("its length is a number from 0 to {}", address->bits()));
  return {.address = *address, .length = static_cast<unsigned>(*length)};
}

bool IpPrefix::contains(const IpAddress& other) const noexcept {
  return same_start(address, other, length);
}

bool IpPrefix::contains(const IpPrefix& other) const noexcept {
  return other.length >= length && contains(other.address);
}

bool IpPrefix::overlaps(const IpPrefix& other) const noexcept {
  return same_start(address, other.address, std::min(length, other.length));
}

IpAddress IpPrefix::first() const noexcept { return at(0); }

IpAddress IpPrefix::at(std::uint64_t number) const noexcept {
  std::array<std::uint8_t, 16> bytes{};
  const auto own = address.bytes();
  // The bits after `length` are 0 before, so that nothing is carried into the block's own.
  for (std::size_t i = own.size(); i-- > 0; number >>= 8U) {
    const unsigned kept = kept_bits(i, length);
    bytes[i] = static_cast<std::uint8_t>((own[i] & kept) | (number & 0xffU & ~kept));
  }
  return from_bytes(address.family(), bytes);
}

std::string IpPrefix::to_string() const {
  return fmt::format("{}/{}", address.to_string(), length);
}

MacAddress MacAddress::parse(std::string_view text) {
  MacAddress mac;
  bool well = text.size() == kMacTextSize;
  for (std::size_t i = 0; well && i < mac.bytes.size(); ++i) {
    const auto high = hex_digit(text[3 * i]);
    const auto low = hex_digit(text[3 * i + 1]);
    well = high && low && (i == 0 || text[3 * i - 1] == ':');
    if (well) mac.bytes[i] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  if (well) return mac;
  throw std::invalid_argument(
      fmt::format("'{}' is no Ethernet address: one is like 02:00:5e:10:00:01",
                  detail::printable(std::string(text))));
}

std::string MacAddress::to_string() const { return fmt::format("{:02x}", fmt::join(bytes, ":")); }

}  // namespace sbx
