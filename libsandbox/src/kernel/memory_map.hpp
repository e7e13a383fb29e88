// SPDX-License-Identifier: Apache-2.0
//
// The text of /proc/PID/maps. See proc_pid_maps(5).
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

namespace sbx::detail {

/// A range of addresses, [begin, end).
struct MemoryRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  friend bool operator==(const MemoryRange&, const MemoryRange&) = default;
};

/// The range of one line of maps when it is private, writable and not the kernel's own.
inline std::optional<MemoryRange> mergeable_range(std::string_view line) {
  MemoryRange range;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, range.begin, 16);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return {};
  const auto second = std::from_chars(first.ptr + 1, end, range.end, 16);
  if (range.end <= range.begin) return {};

  constexpr std::size_t kPermissions = 5;  // " rw-p"
  const auto rest = line.substr(static_cast<std::size_t>(second.ptr - line.data()));
  if (rest.size() < kPermissions || rest[0] != ' ' || rest[2] != 'w' || rest[4] != 'p') return {};

  // What the kernel maps into every process has no pages of the process to merge.
  for (const std::string_view name : {"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"})
    if (rest.ends_with(name)) return {};
  return range;
}

/// The ranges that madvise(2) can be asked to merge: those of private writable mappings.
inline std::vector<MemoryRange> mergeable_ranges(std::string_view maps) {
  std::vector<MemoryRange> ranges;
  while (!maps.empty()) {
    const auto line = maps.substr(0, maps.find('\n'));
    if (const auto range = mergeable_range(line)) ranges.push_back(*range);
    maps.remove_prefix(line.size() < maps.size() ? line.size() + 1 : line.size());
  }
  return ranges;
}

}  // namespace sbx::detail
