// SPDX-License-Identifier: Apache-2.0
#include "launch/own_places.hpp"

#include <linux/mount.h>
#include <sys/sysmacros.h>

#include <string_view>

#include "kernel/cgroup_parts.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

using child::Step;
using child::StepKind;

constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr std::uint64_t kNoPrograms = kQuiet | MOUNT_ATTR_NOEXEC;

/// Kernel state that a sandbox shares with the host: readable, never writable, whoever asks.
constexpr const char* kReadOnlyPaths[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq",
                                          "/proc/bus", "/proc/fs"};

/// All sandboxes together have 3072, which one program could take from the others.
constexpr const char* kMostTerminals = "256";

/// Kernel state that says too much about the host or about other sandboxes.
constexpr const char* kMaskedPaths[] = {
    "/proc/acpi",        "/proc/asound",     "/proc/interrupts",    "/proc/kcore",
    "/proc/key-users",   "/proc/keys",       "/proc/kmsg",          "/proc/kpagecgroup",
    "/proc/kpagecount",  "/proc/kpageflags", "/proc/latency_stats", "/proc/pressure",
    "/proc/sched_debug", "/proc/scsi",       "/proc/timer_list",    "/proc/timer_stats"};

struct Device {
  const char* name;
  unsigned minor;
  unsigned major;
};

constexpr Device kDevices[] = {{"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
                               {"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5}};

enum class Absent { kRefused, kFine };

void write_sysctl(StepList& list, const std::string& name, const std::string& value,
                  Absent absent) {
  Step& step = list.add(StepKind::kSysctl, "/proc/sys/" + name);
  step.text = list.keep(value);
  step.size = value.size();
  step.optional = absent == Absent::kFine;
}

}  // namespace

void plan_proc(const Spec& spec, const Identity& identity, StepList& list) {
  list.filesystem("proc", "/proc", kNoPrograms);
  if (spec.network.mode != Network::Mode::kHost) {
    const IdMap& gids = identity.gids;
    const std::uint32_t first = gids.empty() ? 0 : gids[0].inside;
    const std::uint32_t last = gids.empty() ? 0x7fffffff : first + gids[0].count - 1;
    write_sysctl(list, "net/ipv4/ping_group_range", fmt::format("{} {}", first, last),
                 Absent::kFine);
    write_sysctl(list, "net/ipv4/ip_unprivileged_port_start", "0", Absent::kFine);
  }
  for (const auto& [name, value] : spec.ipc.sysctls())
    write_sysctl(list, name, value, Absent::kRefused);
  if (identity.user_namespace) write_sysctl(list, "user/max_user_namespaces", "0", Absent::kFine);
  for (const char* path : kReadOnlyPaths) {
    Step& step = list.add(StepKind::kReadOnly, path);
    step.attributes = kNoPrograms | MOUNT_ATTR_RDONLY;
    step.optional = step.target != std::string_view("proc/sys");  // each kernel has that
  }
}

void plan_devices(const Spec& spec, const Identity& identity, StepList& list) {
  for (const Device& device : kDevices) {
    list.device(device.name, device.name, makedev(device.major, device.minor));
  }
  for (const char* path : kMaskedPaths) {
    Step& step = list.add(StepKind::kMask, path);
    step.attributes = kNoPrograms | MOUNT_ATTR_RDONLY;
    step.optional = true;
  }
  list.directory("/dev/pts");
  std::vector<std::pair<std::string, std::string>> options = {
      {"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"max", kMostTerminals}};
  if (map_to_outside(identity.gids, 5)) options.emplace_back("gid", "5");
  list.filesystem("devpts", "/dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, std::move(options));
  list.symlink("/dev/ptmx", "pts/ptmx");
  list.symlink("/dev/fd", "/proc/self/fd");
  list.symlink("/dev/stdin", "/proc/self/fd/0");
  list.symlink("/dev/stdout", "/proc/self/fd/1");
  list.symlink("/dev/stderr", "/proc/self/fd/2");
  list.directory("/dev/mqueue", 01777);
  list.filesystem("mqueue", "/dev/mqueue", kNoPrograms);
  list.last().optional = true;  // a kernel without POSIX queues
  plan_tmpfs("/dev/shm", {.target = "/dev/shm", .size_bytes = spec.shm_bytes}, identity.user, list);
}

void plan_group(const Cgroup& group, GroupPlace on, StepList& list) {
  constexpr std::uint64_t kView = kNoPrograms | MOUNT_ATTR_RDONLY;
  const std::string place = kGroupPlace;
  const auto& parts = CgroupMaker::parts(group);
  list.directory(place);
  if (parts.size() == 1 && parts[0].directory.unified()) {
    return list.filesystem("cgroup2", place, kView);
  }
  if (on == GroupPlace::kGivenRoot) {
    list.filesystem("tmpfs", place, kNoPrograms, {{"mode", "0755"}});
  }
  for (const CgroupPart& part : parts) {
    if (part.directory.unified()) {
      list.directory(place + "/unified");
      list.filesystem("cgroup2", place + "/unified", kView);
      continue;
    }
    // As hosts have it: a hierarchy of several controllers can be found by each.
    const std::string name = fmt::format("{}", fmt::join(part.names, ","));
    std::vector<std::pair<std::string, std::string>> options;
    for (const std::string& controller : part.names) {
      options.emplace_back(controller, "");
      if (controller != name) list.symlink(place + "/" + controller, name);
    }
    list.directory(place + "/" + name);
    list.filesystem("cgroup", place + "/" + name, kView, std::move(options));
  }
  if (on == GroupPlace::kGivenRoot) list.add(StepKind::kReadOnly, place).attributes = kView;
}

void plan_tmpfs(const std::filesystem::path& path, const Tmpfs& tmpfs, const User& owner,
                StepList& list) {
  list.directory(path);
  std::vector<std::pair<std::string, std::string>> options = {
      {"mode", fmt::format("{:o}", tmpfs.mode)}};
  if (tmpfs.size_bytes != 0) options.emplace_back("size", std::to_string(tmpfs.size_bytes));
  if (tmpfs.inodes != 0) options.emplace_back("nr_inodes", std::to_string(tmpfs.inodes));
  options.emplace_back("uid", std::to_string(owner.uid));
  options.emplace_back("gid", std::to_string(owner.gid));
  list.filesystem("tmpfs", path, kQuiet, std::move(options));
}

}  // namespace sbx::detail
