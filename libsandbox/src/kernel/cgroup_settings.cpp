// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_settings.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/number.hpp"
#include "sys/proc_file.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr double kUsualPeriod = 100000;  // microseconds
constexpr double kLongestPeriod = 1000000;
constexpr double kShortestQuota = 1000;
constexpr double kMostProcessors = 65536;
constexpr std::uint32_t kUsualWeight = 100;
constexpr std::uint32_t kMostWeight = 10000;

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

void check_weight(const std::optional<std::uint32_t>& weight, const char* what) {
  if (weight && (*weight < 1 || *weight > kMostWeight)) {
    refuse(fmt::format("the {} weight {} is not from 1 to {}", what, *weight, kMostWeight));
  }
}

void check_processors(const std::string& list) {
  if (list.find_first_not_of("0123456789,-") != std::string::npos) {
    refuse(fmt::format("'{}' is no list of processors, such as 0-3,6", printable(list)));
  }
}

/// Time in every period, as the kernel has it, to be rounded to whole microseconds.
struct CpuQuota {
  explicit CpuQuota(double cpus) {
    if (cpus * period < kShortestQuota) period = kLongestPeriod;
    quota = cpus * period;
  }
  double period = kUsualPeriod;
  double quota = 0;
};

std::uint64_t shares_of(std::uint32_t weight) {
  constexpr std::uint64_t kUsualShares = 1024;
  const std::uint64_t shares = weight * kUsualShares / kUsualWeight;
  return shares < 2 ? 2 : shares;
}

/// BFQ has 1 to 1000, and the same middle.
std::uint32_t bfq_weight(std::uint32_t weight) {
  if (weight <= kUsualWeight) return weight;
  return kUsualWeight +
         (weight - kUsualWeight) * (1000 - kUsualWeight) / (kMostWeight - kUsualWeight);
}

std::string text_of(std::uint64_t number) { return std::to_string(number); }

std::vector<CgroupSetting> memory_settings(const Limits& limits, bool unified) {
  using enum Controller;
  std::vector<CgroupSetting> settings;
  const auto add = [&](const char* file, const std::string& text) {
    settings.push_back({kMemory, file, text});
  };
  if (unified) {
    if (limits.memory_high_bytes) add("memory.high", text_of(*limits.memory_high_bytes));
    if (limits.memory_group_kill) add("memory.oom.group", "1");
    if (limits.memory_bytes) add("memory.max", text_of(*limits.memory_bytes));
    if (limits.memory_bytes || limits.swap_bytes)
      add("memory.swap.max", text_of(limits.swap_bytes.value_or(0)));
    return settings;
  }
  if (limits.memory_high_bytes)
    refuse("memory that is only slowed down for needs control groups of version 2");
  if (limits.memory_group_kill)
    refuse("killing all for want of memory needs control groups of version 2");
  if (!limits.memory_bytes) {
    if (limits.swap_bytes)
      refuse("with control groups of version 1 swap is limited only together with memory");
    return settings;
  }
  const std::uint64_t most = kNoLimit - *limits.memory_bytes;
  add("memory.limit_in_bytes", text_of(*limits.memory_bytes));
  add("memory.memsw.limit_in_bytes",
      text_of(*limits.memory_bytes + std::min(limits.swap_bytes.value_or(0), most)));
  return settings;
}

std::vector<CgroupSetting> cpu_settings(const Limits& limits, bool unified) {
  using enum Controller;
  std::vector<CgroupSetting> settings;
  if (limits.cpus) {
    const CpuQuota quota(*limits.cpus);
    if (unified) {
      settings.push_back(
          {kCpu, "cpu.max", fmt::format("{:.0f} {:.0f}", quota.quota, quota.period)});
    } else {
      settings.push_back({kCpu, "cpu.cfs_period_us", fmt::format("{:.0f}", quota.period)});
      settings.push_back({kCpu, "cpu.cfs_quota_us", fmt::format("{:.0f}", quota.quota)});
    }
  }
  if (limits.cpu_weight) {
    settings.push_back(
        unified ? CgroupSetting{kCpu, "cpu.weight", text_of(*limits.cpu_weight)}
                : CgroupSetting{kCpu, "cpu.shares", text_of(shares_of(*limits.cpu_weight))});
  }
  return settings;
}

/// The number of the whole device that `file` is, or lies on.
dev_t device_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) < 0)
    throw_errno("cannot look at the device '{}'", printable(file.native()));
  const dev_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
  const std::string known = fmt::format("/sys/dev/block/{}:{}", ::major(device), ::minor(device));
  std::error_code ignored;
  if (!fs::exists(known, ignored)) {
    throw SystemError(ENOTBLK, fmt::format("cannot limit I/O of '{}'", printable(file.native())),
                      "name a block device, or a file on one");
  }
  if (!fs::exists(known + "/partition", ignored)) return device;
  unsigned major = 0;
  unsigned minor = 0;
  const std::string whole = read_file(known + "/../dev");
  if (std::sscanf(whole.c_str(), "%u:%u", &major, &minor) != 2) return device;
  return ::makedev(major, minor);
}

using IoField = std::optional<std::uint64_t> IoLimit::*;

struct IoFile {
  IoField field;
  const char* v1;
  const char* v2;  // the key in io.max
};

constexpr IoFile kIoFiles[] = {
    {&IoLimit::read_bytes_per_second, "blkio.throttle.read_bps_device", "rbps"},
    {&IoLimit::write_bytes_per_second, "blkio.throttle.write_bps_device", "wbps"},
    {&IoLimit::read_operations_per_second, "blkio.throttle.read_iops_device", "riops"},
    {&IoLimit::write_operations_per_second, "blkio.throttle.write_iops_device", "wiops"},
};

void add_device(const IoLimit& limit, bool unified, std::vector<CgroupSetting>& settings) {
  using enum Controller;
  const dev_t device = device_of(limit.device);
  const std::string number = fmt::format("{}:{}", ::major(device), ::minor(device));
  std::string keys;
  for (const IoFile& file : kIoFiles) {
    const auto& rate = limit.*file.field;
    if (!rate) continue;
    if (!unified) settings.push_back({kIo, file.v1, fmt::format("{} {}", number, *rate)});
    keys += fmt::format(" {}={}", file.v2, *rate);
  }
  if (unified && !keys.empty()) settings.push_back({kIo, "io.max", number + keys});
  if (!limit.weight) return;
  settings.push_back(
      unified ? CgroupSetting{kIo, "io.weight", fmt::format("{} {}", number, *limit.weight)}
              : CgroupSetting{kIo, "blkio.bfq.weight_device",
                              fmt::format("{} {}", number, bfq_weight(*limit.weight))});
}

std::vector<CgroupSetting> io_settings(const Limits& limits, bool unified) {
  using enum Controller;
  std::vector<CgroupSetting> settings;
  if (limits.io_weight) {
    settings.push_back(
        unified ? CgroupSetting{kIo, "io.weight", fmt::format("default {}", *limits.io_weight)}
                : CgroupSetting{kIo, "blkio.bfq.weight", text_of(bfq_weight(*limits.io_weight))});
  }
  for (const IoLimit& limit : limits.io) add_device(limit, unified, settings);
  return settings;
}

/// The kernel's name for a size of huge pages: "2MB", "1GB", "64KB".
std::string page_name(std::uint64_t bytes) {
  constexpr std::uint64_t kKilo = 1024;
  if (bytes >= kKilo * kKilo * kKilo) return fmt::format("{}GB", bytes / (kKilo * kKilo * kKilo));
  if (bytes >= kKilo * kKilo) return fmt::format("{}MB", bytes / (kKilo * kKilo));
  return fmt::format("{}KB", bytes / kKilo);
}

std::vector<CgroupSetting> hugetlb_settings(const Limits& limits, bool unified) {
  std::vector<CgroupSetting> settings;
  for (const HugetlbLimit& limit : limits.hugetlb) {
    settings.push_back({Controller::kHugetlb,
                        fmt::format("hugetlb.{}.{}", page_name(limit.page_bytes),
                                    unified ? "max" : "limit_in_bytes"),
                        text_of(limit.bytes)});
  }
  return settings;
}

}  // namespace

void check_limits(const Limits& limits) {
  if (limits.memory_bytes == 0U) refuse("no memory at all is no limit that a program can keep");
  if (limits.cpus) {
    const double cpus = *limits.cpus;
    if (!(cpus * kLongestPeriod >= kShortestQuota) || cpus > kMostProcessors)
      refuse(
          fmt::format("{} processors are less than 0.001 or more than {}", cpus, kMostProcessors));
  }
  check_weight(limits.cpu_weight, "processor");
  check_weight(limits.io_weight, "I/O");
  check_processors(limits.processors);
  if (limits.pids == 0U) refuse("no process at all is no limit that a program can keep");
  for (const IoLimit& io : limits.io) {
    check_weight(io.weight, "I/O");
    for (const IoFile& file : kIoFiles) {
      if (io.*file.field == 0U)
        refuse(fmt::format("the I/O rate of '{}' is 0", printable(io.device.native())));
    }
  }
}

bool machine_has_swap() {
  // The first line is a heading.
  const std::string swaps = read_file("/proc/swaps");
  return swaps.find('\n') + 1 < swaps.size();
}

std::vector<CgroupSetting> settings_for(const Limits& limits, Controller controller, bool unified) {
  switch (controller) {
    case Controller::kCpu:
      return cpu_settings(limits, unified);
    case Controller::kCpuset:
      if (limits.processors.empty()) return {};
      return {{controller, "cpuset.cpus", limits.processors}};
    case Controller::kHugetlb:
      return hugetlb_settings(limits, unified);
    case Controller::kIo:
      return io_settings(limits, unified);
    case Controller::kMemory:
      return memory_settings(limits, unified);
    case Controller::kPids:
      if (!limits.pids) return {};
      return {{controller, "pids.max", text_of(*limits.pids)}};
  }
  return {};
}

}  // namespace sbx::detail
