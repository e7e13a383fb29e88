// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace sbx::detail {

inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// `text` as a decimal number from 0 to `max`; none for anything but digits, or for more than
/// `max`.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max = kNoLimit);

/// The same with one of the letters K, M, G, T after it, for powers of 1024: "512", "64K", "2G".
std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t max = kNoLimit);

/// Digits, and at most one point with one to six digits after it: "2", "0.5".
std::optional<double> parse_decimal(std::string_view text);

/// "500ms", "10s", "5m", "2h", "1d", and a bare number of seconds, also with a fraction: "1.5s".
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Bits per second, in powers of 1000: "64kbit", "50mbit", "1gbit", "800bit".
std::optional<std::uint64_t> parse_rate(std::string_view text);

}  // namespace sbx::detail
