// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <net/if.h>

#include <cstring>
#include <stdexcept>

#include "kernel/netlink/nft_field.hpp"
#include "sbx/nftables.hpp"
#include "sys/error.hpp"

namespace sbx::nft {

Value& Value::add(const IpAddress& address) {
  const auto bytes = address.bytes();
  parts_.emplace_back(bytes.begin(), bytes.end());
  return *this;
}

Value& Value::add(const MacAddress& mac) {
  parts_.emplace_back(mac.bytes.begin(), mac.bytes.end());
  return *this;
}

Value& Value::add_port(std::uint16_t port) {
  parts_.push_back({static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)});
  return *this;
}

Value& Value::add_byte(std::uint8_t value) {
  parts_.push_back({value});
  return *this;
}

Value& Value::add_number(std::uint32_t value) {
  std::vector<std::uint8_t> part(sizeof value);
  std::memcpy(part.data(), &value, sizeof value);
  parts_.push_back(std::move(part));
  return *this;
}

Value& Value::add_name(std::string_view interface) {
  if (interface.size() >= IFNAMSIZ) {
    throw std::invalid_argument(fmt::format("the name of an interface is too long: '{}'",
                                            detail::printable(std::string(interface))));
  }
  std::vector<std::uint8_t> part(interface.begin(), interface.end());
  part.resize(IFNAMSIZ);
  parts_.push_back(std::move(part));
  return *this;
}

std::vector<std::uint8_t> Value::bytes() const {
  if (parts_.size() == 1) return parts_.front();
  std::vector<std::uint8_t> all;
  for (const auto& part : parts_) {
    const auto size = static_cast<std::uint32_t>(part.size());
    const std::size_t end =
        all.size() + std::size_t{detail::registers(size)} * detail::kRegisterBytes;
    all.insert(all.end(), part.begin(), part.end());
    all.resize(end);
  }
  return all;
}

std::string Value::to_string() const { return fmt::format("{:02x}", fmt::join(bytes(), "")); }

}  // namespace sbx::nft
