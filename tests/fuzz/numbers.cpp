// SPDX-License-Identifier: Apache-2.0
//
// Numbers with units, resource limits, id maps and /etc/subuid. What is accepted is compared with
// a second reader, is in its range, and is read the same from what it is printed as.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "fuzz/check.hpp"
#include "sbx/id_map.hpp"
#include "sbx/rlimit.hpp"
#include "sys/number.hpp"

namespace {

using sbx::fuzz::require;
using sbx::fuzz::require_message;

constexpr std::uint64_t kHighestId = 4294967294;

/// Wide enough for whatever 20 digits and a unit can make.
using Wide = unsigned __int128;

/// The number that `digits` are; none for anything else, or for more than 64 bits.
std::optional<std::uint64_t> number_of(std::string_view digits, std::uint64_t unit = 1) {
  Wide number = 0;
  if (digits.empty()) return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > UINT64_MAX) return std::nullopt;
  }
  number *= unit;
  if (number > UINT64_MAX) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

/// The same with one of the suffixes after it; the first that fits counts.
std::optional<std::uint64_t> number_with_unit(
    std::string_view text,
    std::initializer_list<std::pair<std::string_view, std::uint64_t>> units) {
  for (const auto& [suffix, unit] : units) {
    if (text.ends_with(suffix)) {
      return number_of(text.substr(0, text.size() - suffix.size()), unit);
    }
  }
  return std::nullopt;
}

void read_unsigned(std::string_view text) {
  const auto number = sbx::detail::parse_unsigned(text);
  require(number == number_of(text), "a number is what its digits say", text);
  const auto id = sbx::detail::parse_unsigned(text, kHighestId);
  require(!id || (*id <= kHighestId && id == number), "a number is at most the maximum", text);
}

void read_size(std::string_view text) {
  constexpr std::uint64_t k = 1024;
  const auto size = sbx::detail::parse_size(text);
  require(
      size == number_with_unit(
                  text, {{"K", k}, {"M", k * k}, {"G", k * k * k}, {"T", k * k * k * k}, {"", 1}}),
      "a size is its number times its unit", text);
}

void read_rate(std::string_view text) {
  const auto rate = sbx::detail::parse_rate(text);
  require(
      rate == number_with_unit(
                  text, {{"kbit", 1000}, {"mbit", 1'000'000}, {"gbit", 1'000'000'000}, {"bit", 1}}),
      "a rate is its number times its unit", text);
}

void read_duration(std::string_view text) {
  const auto duration = sbx::detail::parse_duration(text);
  if (!duration) return;
  constexpr std::int64_t kLongest = 1'000'000'000'000'000;
  require(duration->count() >= 0 && duration->count() <= kLongest, "a duration is in range", text);
  const std::size_t digits = text.find_first_not_of("0123456789.");
  const std::string_view unit = digits == std::string_view::npos ? "" : text.substr(digits);
  const double value = std::stod(std::string(text.substr(0, digits)));
  const double scale = unit == "ms"  ? 1
                       : unit == "m" ? 60'000
                       : unit == "h" ? 3'600'000
                       : unit == "d" ? 86'400'000
                                     : 1000;
  require(unit.empty() || unit == "s" || scale != 1000, "a duration has a known unit", text);
  require(std::fabs(static_cast<double>(duration->count()) - value * scale) <= 1,
          "a duration is its number times its unit", text);
  require(duration->count() > 0 || value == 0, "a duration is rounded up", text);
  const std::string printed = fmt::format("{}ms", duration->count());
  require(duration->count() > 1'000'000'000'000 || sbx::detail::parse_duration(printed) == duration,
          "a duration is read as it is printed", printed);
}

void read_decimal(std::string_view text) {
  const auto number = sbx::detail::parse_decimal(text);
  if (!number) return;
  require(*number >= 0 && *number <= 1e12 + 1, "a decimal number is in range", text);
  require(std::fabs(*number - std::stod(std::string(text))) <= 1e-4,
          "a decimal number is what its digits say", text);
}

void read_rlimit(std::string_view text) {
  const sbx::Rlimit limit = sbx::Rlimit::parse(text);
  require(limit.soft <= limit.hard, "a soft limit is below its hard one", text);
  const auto shown = [](std::uint64_t value) {
    return value == sbx::Rlimit::kUnlimited ? "unlimited" : std::to_string(value);
  };
  const std::string printed =
      fmt::format("{}={}:{}", limit.name(), shown(limit.soft), shown(limit.hard));
  require(sbx::Rlimit::parse(printed) == limit, "a limit is read as it is printed", printed);
}

bool overlap(std::uint64_t one, std::uint64_t other, std::uint64_t count,
             std::uint64_t other_count) {
  return one < other + other_count && other < one + count;
}

void require_range(const sbx::IdRange& range) {
  require(range.count > 0, "a range of ids is not empty");
  require(std::uint64_t{range.inside} + range.count - 1 <= kHighestId &&
              std::uint64_t{range.outside} + range.count - 1 <= kHighestId,
          "a range of ids ends before (uid_t)-1");
}

void read_id_map(std::string_view text) {
  const sbx::IdMap map = sbx::parse_id_map(text);
  std::string printed;
  for (const sbx::IdRange& range : map) {
    require_range(range);
    printed += fmt::format("{}{}:{}:{}", printed.empty() ? "" : ",", range.inside, range.outside,
                           range.count);
    const std::uint32_t last = range.count - 1;
    require(sbx::map_to_outside(map, range.inside) == range.outside &&
                sbx::map_to_outside(map, range.inside + last) == range.outside + last,
            "an id is mapped by its range", text);
    for (const sbx::IdRange& other : map) {
      require(
          &other == &range || (!overlap(range.inside, other.inside, range.count, other.count) &&
                               !overlap(range.outside, other.outside, range.count, other.count)),
          "the ranges of a map do not overlap", text);
    }
  }
  require(!map.empty() && map.size() <= 340, "a map has 1 to 340 ranges", text);
  require(sbx::parse_id_map(printed) == map, "a map is read as it is printed", printed);
}

/// The lines "alice:FIRST:COUNT" and "1000:FIRST:COUNT" that make sense.
std::vector<sbx::IdRange> subordinate(std::string_view text) {
  std::vector<sbx::IdRange> ranges;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    const std::string_view owner = line.substr(0, first);
    if (second == line.npos || (owner != "alice" && owner != "1000")) continue;
    const auto from = number_of(line.substr(first + 1, second - first - 1));
    const auto count = number_of(line.substr(second + 1));
    if (!from || !count || *count == 0 || *from > kHighestId || *count > kHighestId) continue;
    if (*from + *count - 1 > kHighestId) continue;
    ranges.push_back({.inside = 0,
                      .outside = static_cast<std::uint32_t>(*from),
                      .count = static_cast<std::uint32_t>(*count)});
  }
  return ranges;
}

void read_subordinate_ids(std::string_view text) {
  static sbx::fuzz::MemoryFile file;
  const auto ranges = sbx::subordinate_ids(file.fill(text), "alice", 1000);
  for (const sbx::IdRange& range : ranges) require_range(range);
  require(ranges == subordinate(text), "subordinate ids are what the file says", text);
}

using Reader = void (*)(std::string_view);
constexpr Reader kReaders[] = {read_unsigned, read_size,   read_rate,   read_duration,
                               read_decimal,  read_rlimit, read_id_map, read_subordinate_ids};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    kReaders[data[0] % std::size(kReaders)](text);
  } catch (const std::invalid_argument& error) {
    require_message(error.what());
  }
  return 0;
}
