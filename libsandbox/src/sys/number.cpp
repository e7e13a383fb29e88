// SPDX-License-Identifier: Apache-2.0
#include "sys/number.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

namespace sbx::detail {
namespace {

struct TimeUnit {
  std::string_view suffix;
  double milliseconds;
};

constexpr std::array<TimeUnit, 6> kTimeUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"", 1000}}};

constexpr double kLongestMilliseconds = 1e15;  // 30,000 years

struct RateUnit {
  std::string_view suffix;
  std::uint64_t bits;
};

constexpr std::array<RateUnit, 4> kRateUnits{
    {{"bit", 1}, {"kbit", 1000}, {"mbit", 1'000'000}, {"gbit", 1'000'000'000}}};

struct NumberAndUnit {
  std::string_view number;
  std::string_view unit;
};

NumberAndUnit split_unit(std::string_view text) {
  const std::size_t last = text.find_last_of("0123456789");
  const std::size_t end = last == std::string_view::npos ? 0 : last + 1;
  return {text.substr(0, end), text.substr(end)};
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value > max) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t max) {
  constexpr std::string_view kLetters = "KMGT";
  unsigned shift = 0;
  if (!text.empty()) {
    const auto letter = kLetters.find(text.back());
    if (letter != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(letter) + 1);
      text.remove_suffix(1);
    }
  }
  const auto value = parse_unsigned(text, max >> shift);
  if (!value) return std::nullopt;
  return *value << shift;
}

std::optional<double> parse_decimal(std::string_view text) {
  const std::size_t point = text.find('.');
  const auto whole = parse_unsigned(text.substr(0, point), 1'000'000'000'000);
  if (!whole) return std::nullopt;
  if (point == std::string_view::npos) return static_cast<double>(*whole);
  const std::string_view digits = text.substr(point + 1);
  const auto fraction = parse_unsigned(digits, 999'999);
  if (!fraction || digits.size() > 6) return std::nullopt;
  double unit = 1;
  for (std::size_t i = 0; i < digits.size(); ++i) unit *= 10;
  return static_cast<double>(*whole) + static_cast<double>(*fraction) / unit;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto [written, suffix] = split_unit(text);
  const auto number = parse_decimal(written);
  for (const TimeUnit& unit : kTimeUnits) {
    if (unit.suffix != suffix || !number) continue;
    const double milliseconds = *number * unit.milliseconds;
    if (milliseconds > kLongestMilliseconds) return std::nullopt;
    return std::chrono::milliseconds(std::llround(std::ceil(milliseconds)));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
  const auto [written, suffix] = split_unit(text);
  for (const RateUnit& unit : kRateUnits) {
    if (unit.suffix != suffix) continue;
    const auto number = parse_unsigned(written, kNoLimit / unit.bits);
    if (!number) return std::nullopt;
    return *number * unit.bits;
  }
  return std::nullopt;
}

}  // namespace sbx::detail
