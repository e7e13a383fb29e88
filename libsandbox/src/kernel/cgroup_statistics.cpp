// SPDX-License-Identifier: Apache-2.0
//
// What a group has used, out of the files of either version.
#include <algorithm>

#include "kernel/cgroup_parts.hpp"
#include "sbx/cgroup.hpp"
#include "sys/number.hpp"

namespace sbx {

using detail::CgroupDirectory;
using detail::CgroupPart;
using std::chrono::microseconds;

namespace {

using Count = std::optional<std::uint64_t>;

std::string_view take_field(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

/// The one number that a file holds. "max" is none.
Count number_in(const CgroupDirectory& group, const char* file) {
  const auto text = group.find(file);
  if (!text) return std::nullopt;
  return detail::parse_unsigned(std::string_view(*text).substr(0, text->find('\n')));
}

/// The number after `key` in a text of lines "KEY NUMBER".
Count number_after(const std::optional<std::string>& text, std::string_view key) {
  if (!text) return std::nullopt;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    if (take_field(line, ' ') == key) return detail::parse_unsigned(line);
  }
  return std::nullopt;
}

std::optional<microseconds> duration(const Count& count, std::uint64_t nanoseconds_each) {
  if (!count) return std::nullopt;
  return microseconds(static_cast<microseconds::rep>(*count * nanoseconds_each / 1000));
}

void read_memory(const CgroupDirectory& group, CgroupStatistics& all) {
  if (group.unified()) {
    all.memory_bytes = number_in(group, "memory.current");
    all.memory_peak_bytes = number_in(group, "memory.peak");
    all.swap_bytes = number_in(group, "memory.swap.current");
    const auto events = group.find("memory.events");
    all.oom_kills = number_after(events, "oom_kill");
    all.memory_high_events = number_after(events, "high");
    return;
  }
  all.memory_bytes = number_in(group, "memory.usage_in_bytes");
  all.memory_peak_bytes = number_in(group, "memory.max_usage_in_bytes");
  const Count with_swap = number_in(group, "memory.memsw.usage_in_bytes");
  if (with_swap && all.memory_bytes) {
    all.swap_bytes = *with_swap - std::min(*with_swap, *all.memory_bytes);
  }
  all.oom_kills = number_after(group.find("memory.oom_control"), "oom_kill");
}

void read_throttling(const CgroupDirectory& group, CgroupStatistics& all) {
  const auto text = group.find("cpu.stat");
  all.cpu_throttled_periods = number_after(text, "nr_throttled");
  all.cpu_throttled = group.unified() ? duration(number_after(text, "throttled_usec"), 1000)
                                      : duration(number_after(text, "throttled_time"), 1);
}

/// The hierarchy of version 2 counts them for every group, with the controller or without.
void read_cpu_times(const CgroupDirectory& group, CgroupStatistics& all) {
  const auto text = group.find("cpu.stat");
  all.cpu_user = duration(number_after(text, "user_usec"), 1000);
  all.cpu_system = duration(number_after(text, "system_usec"), 1000);
}

void read_pids(const CgroupDirectory& group, CgroupStatistics& all) {
  all.pids = number_in(group, "pids.current");
  all.pids_peak = number_in(group, "pids.peak");
  all.pids_refused = number_after(group.find("pids.events"), "max");
}

/// Adds up lines "MAJOR:MINOR KEY=NUMBER KEY=NUMBER ...".
void read_io_stat(const std::string& text, CgroupStatistics& all) {
  const struct {
    std::string_view key;
    Count& sum;
  } keys[] = {{"rbytes", all.io_read_bytes},
              {"wbytes", all.io_write_bytes},
              {"rios", all.io_read_operations},
              {"wios", all.io_write_operations}};
  for (const auto& key : keys) key.sum = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    while (!line.empty()) {
      std::string_view value = take_field(line, ' ');
      const std::string_view name = take_field(value, '=');
      for (const auto& key : keys) {
        if (key.key == name) *key.sum += detail::parse_unsigned(value).value_or(0);
      }
    }
  }
}

/// Adds up lines "MAJOR:MINOR Read NUMBER" and "... Write NUMBER".
void read_blkio(const std::optional<std::string>& text, Count& reads, Count& writes) {
  if (!text) return;
  reads = 0;
  writes = 0;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    take_field(line, ' ');
    const std::string_view what = take_field(line, ' ');
    const std::uint64_t number = detail::parse_unsigned(line).value_or(0);
    if (what == "Read") *reads += number;
    if (what == "Write") *writes += number;
  }
}

void read_io(const CgroupDirectory& group, CgroupStatistics& all) {
  if (group.unified()) {
    if (const auto text = group.find("io.stat")) read_io_stat(*text, all);
    return;
  }
  read_blkio(group.find("blkio.throttle.io_service_bytes_recursive"), all.io_read_bytes,
             all.io_write_bytes);
  read_blkio(group.find("blkio.throttle.io_serviced_recursive"), all.io_read_operations,
             all.io_write_operations);
}

/// Lines "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full ...".
std::optional<Pressure> read_pressure(const CgroupDirectory& group, const char* file) {
  const auto text = group.find(file);
  if (!text) return std::nullopt;
  Pressure pressure;
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    Pressure::Line& read = take_field(line, ' ') == "full" ? pressure.full : pressure.some;
    while (!line.empty()) {
      std::string_view value = take_field(line, ' ');
      const std::string_view name = take_field(value, '=');
      const double percent = detail::parse_decimal(value).value_or(0);
      if (name == "avg10") read.average_10s = percent;
      if (name == "avg60") read.average_60s = percent;
      if (name == "avg300") read.average_300s = percent;
      if (name == "total") {
        read.total = duration(detail::parse_unsigned(value), 1000).value_or(microseconds(0));
      }
    }
  }
  return pressure;
}

}  // namespace

CgroupStatistics Cgroup::statistics() const {
  CgroupStatistics all;
  for (const CgroupPart& part : parts_) {
    const CgroupDirectory& group = part.directory;
    if (part.has(Controller::kMemory)) read_memory(group, all);
    if (part.has(Controller::kCpu)) read_throttling(group, all);
    if (part.has(Controller::kPids)) read_pids(group, all);
    if (part.has(Controller::kIo)) read_io(group, all);
    if (!group.unified()) continue;
    read_cpu_times(group, all);
    all.cpu_pressure = read_pressure(group, "cpu.pressure");
    all.memory_pressure = read_pressure(group, "memory.pressure");
    all.io_pressure = read_pressure(group, "io.pressure");
  }
  return all;
}

}  // namespace sbx
