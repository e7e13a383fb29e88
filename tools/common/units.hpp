// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tools {

// How values are written on command lines and in files. Each throws std::invalid_argument with a
// sentence that quotes the value and names what was expected.

/// "512", "64K", "256M", "2G", "1T": bytes, in powers of 1024.
std::uint64_t parse_size(const std::string& text);

/// Bytes a second: "80mbit", in bits and powers of 1000, or a size: "10M".
std::uint64_t parse_byte_rate(const std::string& text);

/// "500ms", "10s", "5m", "2h", "1d", and a bare number of seconds, also with a fraction: "1.5s".
std::chrono::milliseconds parse_duration(const std::string& text);

/// A whole number between `least` and `most`.
std::uint64_t parse_number(const std::string& text, std::uint64_t least, std::uint64_t most);

/// "0.5": a positive number with at most six digits after the point.
double parse_fraction(const std::string& text);

}  // namespace tools
