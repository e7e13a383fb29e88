// SPDX-License-Identifier: Apache-2.0
#include "common/units.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "sys/error.hpp"
#include "sys/number.hpp"

namespace tools {
namespace {

[[noreturn]] void refuse(const std::string& text, const char* expected) {
  throw std::invalid_argument(
      fmt::format("'{}' is not {}", sbx::detail::printable(text), expected));
}

}  // namespace

std::uint64_t parse_size(const std::string& text) {
  const auto size = sbx::detail::parse_size(text);
  if (!size) refuse(text, "a size such as 512, 64K, 256M or 2G");
  return *size;
}

std::uint64_t parse_byte_rate(const std::string& text) {
  constexpr std::uint64_t kBitsInByte = 8;
  if (const auto bits = sbx::detail::parse_rate(text)) return *bits / kBitsInByte;
  const auto size = sbx::detail::parse_size(text);
  if (!size) refuse(text, "a rate such as 80mbit, or as 10M bytes a second");
  return *size;
}

std::chrono::milliseconds parse_duration(const std::string& text) {
  const auto duration = sbx::detail::parse_duration(text);
  if (!duration) refuse(text, "a duration such as 500ms, 10s, 5m, 2h or 1d");
  return *duration;
}

std::uint64_t parse_number(const std::string& text, std::uint64_t least, std::uint64_t most) {
  const auto number = sbx::detail::parse_unsigned(text, most);
  if (!number || *number < least) {
    refuse(text, fmt::format("a whole number from {} to {}", least, most).c_str());
  }
  return *number;
}

double parse_fraction(const std::string& text) {
  const auto number = sbx::detail::parse_decimal(text);
  if (!number || *number <= 0) refuse(text, "a positive number such as 0.5 or 2");
  return *number;
}

}  // namespace tools
