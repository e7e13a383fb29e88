// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>

#include "kernel/netlink/nft_field.hpp"
#include "sbx/nftables.hpp"
#include "sys/error.hpp"

namespace sbx::nft {

Value& Value::add_part(std::span<const std::uint8_t> part) {
  const auto fill_up = [this] {
    const auto size = static_cast<std::uint32_t>(bytes_.size());
    bytes_.resize(std::size_t{detail::registers(size)} * detail::kRegisterBytes);
  };
  if (parts_ > 0) fill_up();
  bytes_.insert(bytes_.end(), part.begin(), part.end());
  if (parts_ > 0) fill_up();
  ++parts_;
  return *this;
}

Value& Value::add(const IpAddress& address) { return add_part(address.bytes()); }

Value& Value::add(const MacAddress& mac) { return add_part(mac.bytes); }

Value& Value::add_port(std::uint16_t port) {
  return add_part(
      std::array{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)});
}

Value& Value::add_byte(std::uint8_t value) { return add_part(std::array{value}); }

Value& Value::add_number(std::uint32_t value) {
  return add_part(std::bit_cast<std::array<std::uint8_t, sizeof value>>(value));
}

Value& Value::add_name(std::string_view interface) {
  if (interface.size() >= IFNAMSIZ) {
    throw std::invalid_argument(fmt::format("the name of an interface is too long: '{}'",
                                            detail::printable(std::string(interface))));
  }
  std::array<std::uint8_t, IFNAMSIZ> part{};
  std::copy(interface.begin(), interface.end(), part.begin());
  return add_part(part);
}

std::string Value::to_string() const { return fmt::format("{:02x}", fmt::join(bytes(), "")); }

}  // namespace sbx::nft
