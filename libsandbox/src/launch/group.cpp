// SPDX-License-Identifier: Apache-2.0
#include "launch/group.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>

#include "kernel/cgroup_settings.hpp"
#include "kernel/idle_process.hpp"
#include "kernel/systemd_scope.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::detail {

namespace {

/// As a shell reports a command that was killed.
constexpr int kKilledStatus = 128 + SIGKILL;

Limits without_memory(Limits limits) {
  limits.memory_bytes.reset();
  limits.memory_high_bytes.reset();
  limits.swap_bytes.reset();
  limits.memory_group_kill = false;
  return limits;
}

Limits only_memory(const Limits& limits) {
  return {.memory_bytes = limits.memory_bytes,
          .memory_high_bytes = limits.memory_high_bytes,
          .swap_bytes = limits.swap_bytes,
          .memory_group_kill = limits.memory_group_kill};
}

Cgroup make_group_in(const CgroupTree& tree, const Spec& spec) {
  Cgroup group = CgroupMaker::create_unnamed(tree, controllers_of(spec.limits));
  group.set(without_memory(with_room_for_init(spec.limits, spec.init)));
  return group;
}

}  // namespace

Limits with_room_for_init(Limits limits, Init init) {
  const bool counts = init == Init::kYes && limits.pids.value_or(0) > 0;
  if (counts && *limits.pids < kNoLimit) ++*limits.pids;
  return limits;
}

std::optional<Cgroup> make_group(const Spec& spec) {
  if (controllers_of(spec.limits).empty()) return std::nullopt;
  const CgroupTree tree = CgroupTree::of_caller();
  if (!may_make_groups(tree) && can_ask_systemd()) return std::nullopt;
  return make_group_in(tree, spec);
}

std::optional<Cgroup> enter_scope(const Spec& spec, int pid) {
  if (controllers_of(spec.limits).empty()) return std::nullopt;
  static std::atomic<unsigned> number{0};
  // Else the scope, and with it what the group has counted, would go with the sandbox.
  const auto keeper = std::make_shared<IdleProcess>();
  if (keeper->error() != 0) throw SystemError(keeper->error(), "cannot make a process");
  move_to_scope(fmt::format("sbx-{}-{}", ::getpid(), ++number), {pid, keeper->pid()}, spec.limits);
  Cgroup group = make_group_in(CgroupTree::of(std::to_string(pid)), spec);
  CgroupMaker::keep(group, keeper);
  group.attach(pid);
  return group;
}

void change_limits(Cgroup& group, const Limits& limits, Init init) {
  const bool in_scope = is_in_scope(CgroupMaker::parts(group).front().directory.path());
  if (in_scope && (limits.cpu_weight || limits.io_weight)) {
    throw SystemError(ENOTSUP, "cannot change the weights of a running sandbox",
                      "its neighbours are scopes of systemd's: 'systemctl set-property' does it");
  }
  group.set(with_room_for_init(limits, init));
}

bool limits_memory(const Limits& limits) { return only_memory(limits) != Limits{}; }

void limit_memory(Cgroup& group, const Limits& limits) { group.set(only_memory(limits)); }

void require_fed(const Cgroup& group) {
  if (group.statistics().oom_kills.value_or(0) == 0) return;
  throw SystemError(ENOMEM, "cannot start the sandbox", "its limit of memory is too low");
}

std::optional<Cgroup> find_group(int pid) {
  return CgroupMaker::find_unnamed(CgroupTree::of(std::to_string(pid)));
}

Cgroup make_share(Cgroup& group, const Limits& limits) {
  static std::atomic<unsigned> number{0};
  Cgroup share =
      group.create_child(fmt::format("{}-{}", ::getpid(), ++number), controllers_of(limits));
  share.set(limits);
  return share;
}

std::vector<UniqueFd> open_entrances(const Cgroup& group, Entrances which) {
  std::vector<UniqueFd> fds;
  for (const CgroupPart& part : CgroupMaker::parts(group)) {
    const bool unified = part.directory.unified();
    if (unified && which == Entrances::kVersion1) continue;
    fds.push_back(part.directory.open_file(unified ? "cgroup.procs" : "tasks", O_WRONLY));
  }
  return fds;
}

void blame_memory(Report& report) {
  const bool by_itself =
      report.reason == ExitReason::kSignal || report.reason == ExitReason::kExited;
  if (by_itself && report.status == kKilledStatus) report.reason = ExitReason::kMemory;
}

OomCount::OomCount(int pid) {
  try {
    group_ = find_group(pid);
  } catch (const SystemError&) {
    return;  // the sandbox has ended, which others will tell better
  }
  before_ = now();
}

std::uint64_t OomCount::now() const try {
  return group_ ? group_->statistics().oom_kills.value_or(0) : 0;
} catch (const SystemError&) {
  return before_;  // the sandbox has ended, and its group with it
}

UniqueFd open_clock(const Cgroup& group) {
  const CgroupDirectory& first = CgroupMaker::parts(group).front().directory;
  return first.unified() ? first.open_file("cpu.stat", O_RDONLY) : UniqueFd();
}

std::string describe_group(const Limits& limits) {
  std::string text;
  const auto controllers = controllers_of(limits);
  if (controllers.empty()) return text;
  const CgroupTree tree = CgroupTree::of_caller();
  if (!may_make_groups(tree) && can_ask_systemd()) {
    for (const Controller controller : controllers) {
      for (const auto& setting : settings_for(limits, controller, true)) {
        text += fmt::format("limit: {} '{}' in a scope of systemd's\n", setting.file, setting.text);
      }
    }
    return text;
  }
  for (const Controller controller : controllers) {
    const CgroupHierarchy& hierarchy = tree.with(controller);
    for (const auto& setting : settings_for(limits, controller, hierarchy.unified)) {
      text += fmt::format("limit: {} '{}' in a control group below '{}'\n", setting.file,
                          setting.text, printable(hierarchy.own.native()));
    }
  }
  return text;
}

void add_statistics(Report& report, const Cgroup& group, Init init) {
  const CgroupStatistics used = group.statistics();
  report.memory_peak_bytes = used.memory_peak_bytes;
  report.pids_peak = used.pids_peak;
  if (report.pids_peak && init == Init::kYes && *report.pids_peak > 0) --*report.pids_peak;
  report.oom_kills = used.oom_kills;
  if (used.io_read_bytes) report.io_read_bytes = used.io_read_bytes;
  if (used.io_write_bytes) report.io_write_bytes = used.io_write_bytes;
  // Those of all that ever ran in it, where the init knows of what was reaped alone.
  if (used.cpu_user) report.cpu_user = std::max(report.cpu_user, *used.cpu_user);
  if (used.cpu_system) report.cpu_system = std::max(report.cpu_system, *used.cpu_system);
  if (used.oom_kills.value_or(0) > 0) blame_memory(report);
}

}  // namespace sbx::detail
