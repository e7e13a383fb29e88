// SPDX-License-Identifier: Apache-2.0
#include "sbx/cgroup.hpp"

#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "kernel/cgroup_parts.hpp"
#include "kernel/cgroup_settings.hpp"
#include "kernel/systemd_scope.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx {

using detail::CgroupDirectory;
using detail::CgroupMaker;
using detail::CgroupPart;
using detail::CgroupSetting;
using detail::CgroupTree;
using detail::Deadline;
using detail::printable;
using std::chrono::milliseconds;

namespace {

constexpr std::string_view kPrefix = "sbx-";
constexpr milliseconds kLongestDeath{10000};

void check_name(const std::string& name) {
  const bool odd = name.empty() || name[0] == '.' || name.find('/') != std::string::npos ||
                   name.find('\n') != std::string::npos || name.find('\0') != std::string::npos;
  if (odd || name.size() > NAME_MAX) {
    throw std::invalid_argument(
        fmt::format("'{}' is no name for a control group", printable(name)));
  }
}

/// A new group of cpuset's version 1 has no processors and no memory: nothing could run in it.
void inherit_cpuset(const CgroupDirectory& parent, const CgroupDirectory& child) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    std::string text = parent.read(file);
    text.erase(std::min(text.find('\n'), text.size()));
    child.write(file, text);
  }
}

CgroupPart make_part(CgroupDirectory parent, const std::string& name,
                     std::vector<Controller> controllers, const char* leaf) {
  if (parent.unified() && !controllers.empty()) parent.enable(controllers, leaf);
  CgroupDirectory child = parent.make_child(name);
  CgroupPart part{std::move(child), std::move(parent), std::move(controllers), {}};
  if (!part.directory.unified() && part.has(Controller::kCpuset)) {
    try {
      inherit_cpuset(*part.parent, part.directory);
    } catch (const SystemError&) {
      (void)part.parent->remove_child(name);
      throw;
    }
  }
  return part;
}

/// The hierarchies that a group with `controllers` needs a directory in, that of version 2 first.
struct Wanted {
  const detail::CgroupHierarchy* hierarchy;
  std::vector<Controller> controllers;
  bool freezer = false;
};

std::vector<Wanted> wanted_in(const CgroupTree& tree, const std::vector<Controller>& controllers) {
  std::vector<Wanted> wanted;
  if (tree.unified() != nullptr) {
    wanted.push_back({tree.unified(), {}});
  } else {
    for (const auto& hierarchy : tree.hierarchies()) {
      if (hierarchy.has("freezer")) wanted.push_back({&hierarchy, {}, true});
    }
  }
  for (const Controller controller : controllers) {
    const auto* hierarchy = &tree.with(controller);
    const auto known = std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& other) {
      return other.hierarchy == hierarchy;
    });
    if (known != wanted.end()) {
      known->controllers.push_back(controller);
    } else {
      wanted.push_back({hierarchy, {controller}});
    }
  }
  if (wanted.empty()) {
    throw SystemError(ENOENT, "cannot find a mounted hierarchy of control groups");
  }
  return wanted;
}

/// The process's group in `hierarchy`, with what controllers it has.
CgroupPart existing_part(const detail::CgroupHierarchy& hierarchy) {
  CgroupPart part{CgroupDirectory::open(hierarchy.own, hierarchy.unified), std::nullopt,
                  CgroupTree::controllers_in(hierarchy), hierarchy.controllers};
  part.freezer = !hierarchy.unified && hierarchy.has("freezer");
  return part;
}

/// Raises a limit's two files of version 1 in the order that the kernel takes: what is allowed with
/// swap is never less than what is without.
void put_in_order(const CgroupDirectory& directory, std::vector<CgroupSetting>& settings) {
  if (settings.size() != 2 || settings[1].file != "memory.memsw.limit_in_bytes") return;
  const auto now = detail::parse_unsigned(directory.read_line("memory.limit_in_bytes"));
  const auto next = detail::parse_unsigned(settings[0].text);
  if (now && next && *next > *now) std::swap(settings[0], settings[1]);
}

/// A file that this kernel may lack: it counts no swap of groups. There is none to limit as long as
/// the machine has none.
bool is_superfluous(const CgroupSetting& setting, const CgroupDirectory& directory,
                    const Limits& limits) {
  const bool swap =
      setting.file == "memory.swap.max" || setting.file == "memory.memsw.limit_in_bytes";
  return swap && !limits.swap_bytes && !directory.has(setting.file) && !detail::machine_has_swap();
}

/// Marks a group as somebody's for as long as its handle is open.
void lock(const CgroupPart& part, const std::string& name) {
  struct stat held {};
  struct stat named {};
  const bool mine = ::flock(part.directory.fd(), LOCK_EX | LOCK_NB) == 0 &&
                    ::fstat(part.directory.fd(), &held) == 0 &&
                    ::fstatat(part.parent->fd(), name.c_str(), &named, 0) == 0 &&
                    held.st_ino == named.st_ino;
  if (!mine) throw SystemError(ESTALE, "cannot lock a new control group");
}

/// The pid namespace of this process, as the end of its groups' names: nothing for the first one.
std::string namespace_mark() {
  constexpr ino_t kFirst = 0xeffffffc;  // PROC_PID_INIT_INO
  struct stat own {};
  const bool known = ::stat("/proc/self/ns/pid", &own) == 0;
  return known && own.st_ino != kFirst ? fmt::format("-{}", own.st_ino) : "";
}

/// "sbx-PID-NUMBER", and the mark.
std::string unnamed(unsigned number) {
  return fmt::format("{}{}-{}{}", kPrefix, ::getpid(), number, namespace_mark());
}

/// What the name of an unnamed group says.
struct Maker {
  pid_t pid;
  std::string_view mark;
};

/// None for other names; that of a scope of systemd's is one.
std::optional<Maker> maker_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const std::size_t dash = std::min(name.find('-'), name.size() - 1);
  const auto pid = detail::parse_unsigned(name.substr(0, dash), INT_MAX);
  const std::string_view rest = name.substr(dash + 1);
  const std::string_view number = rest.substr(0, rest.find('-'));
  if (!pid || *pid == 0 || !detail::parse_unsigned(number)) return std::nullopt;
  return Maker{.pid = static_cast<pid_t>(*pid), .mark = rest.substr(number.size())};
}

/// Whether the group may have been made by a process that is gone: that of its name is, or its
/// number means nothing here, where names end with `mark`.
bool may_be_leftover(std::string_view name, std::string_view mark) {
  const auto maker = maker_of(name);
  if (!maker) return false;
  return maker->mark != mark || (::kill(maker->pid, 0) < 0 && errno == ESRCH);
}

/// The part of `path` that leads to its innermost unnamed group, as a sandbox may be started in
/// another; empty when it leads through none.
std::filesystem::path to_unnamed(std::filesystem::path path) {
  while (path.has_relative_path() && !maker_of(path.filename().native())) path = path.parent_path();
  return path.has_relative_path() ? path : std::filesystem::path();
}

/// Removes the group `name` from everywhere, unless somebody holds it or runs in it.
void remove_leftover(const CgroupTree& tree, const CgroupDirectory& first,
                     const std::string& name) {
  const auto left = first.find_child(name);
  if (!left || ::flock(left->fd(), LOCK_EX | LOCK_NB) < 0 || left->populated()) return;
  for (auto hierarchy = tree.hierarchies().rbegin(); hierarchy != tree.hierarchies().rend();
       ++hierarchy) {
    const auto own = CgroupDirectory::open(hierarchy->own, hierarchy->unified);
    if (!own.remove_child(name)) return;  // the first one stays, by which the rest is found again
  }
}

/// `first`: where a group is made first, and removed last.
void remove_leftovers(const CgroupTree& tree, const detail::CgroupHierarchy& first) {
  const auto own = CgroupDirectory::open(first.own, first.unified);
  const std::string mark = namespace_mark();
  for (const std::string& name : own.child_names()) {
    if (!may_be_leftover(name, mark)) continue;
    try {
      remove_leftover(tree, own, name);
    } catch (const SystemError&) {
      // Another's, who may have more rights.
    }
  }
}

/// Why a limit could not be set, in the words of who gave it.
[[noreturn]] void refuse_setting(const CgroupSetting& setting, const CgroupDirectory& directory,
                                 const SystemError& error) {
  const int number = error.code().value();
  std::string cure;
  if (number == EBUSY && setting.controller == Controller::kMemory)
    cure = "more is in use now than the kernel can take back";
  if (number == ENOENT) cure = "this kernel cannot limit that";
  if (number == EINVAL || number == ERANGE) cure = "the kernel does not accept the value";
  if (number == ENODEV) cure = "the device takes no such limit";
  if (cure.empty()) throw SystemError(error);
  throw SystemError(number,
                    fmt::format("cannot set the limit '{}' in '{}'", setting.text,
                                printable((directory.path() / setting.file).native())),
                    cure);
}

}  // namespace

bool CgroupPart::has(Controller controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::string_view to_string(Controller controller) {
  switch (controller) {
    case Controller::kCpu:
      return "cpu";
    case Controller::kCpuset:
      return "cpuset";
    case Controller::kHugetlb:
      return "hugetlb";
    case Controller::kIo:
      return "io";
    case Controller::kMemory:
      return "memory";
    case Controller::kPids:
      return "pids";
  }
  return "";
}

std::vector<Controller> controllers_of(const Limits& limits) {
  using enum Controller;
  std::vector<Controller> controllers;
  if (limits.cpus || limits.cpu_weight) controllers.push_back(kCpu);
  if (!limits.processors.empty()) controllers.push_back(kCpuset);
  if (!limits.hugetlb.empty()) controllers.push_back(kHugetlb);
  if (!limits.io.empty() || limits.io_weight) controllers.push_back(kIo);
  if (limits.memory_bytes || limits.memory_high_bytes || limits.swap_bytes ||
      limits.memory_group_kill) {
    controllers.push_back(kMemory);
  }
  if (limits.pids) controllers.push_back(kPids);
  return controllers;
}

Cgroup::Cgroup() noexcept = default;
Cgroup::Cgroup(Cgroup&& other) noexcept
    : parts_(std::exchange(other.parts_, {})),
      owned_(std::exchange(other.owned_, false)),
      keeper_(std::move(other.keeper_)) {}

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
  Cgroup taken(std::move(other));
  std::swap(parts_, taken.parts_);
  std::swap(owned_, taken.owned_);
  std::swap(keeper_, taken.keeper_);
  return *this;
}

Cgroup::~Cgroup() {
  if (!owned_) return;
  try {
    remove();
  } catch (const std::exception&) {
    // The next one that the caller makes sweeps it.
  }
}

Cgroup Cgroup::create(const std::string& name, const std::vector<Controller>& controllers) {
  const CgroupTree tree = CgroupTree::of_caller();
  if (!detail::may_make_groups(tree)) {
    throw SystemError(EACCES,
                      fmt::format("cannot make the control group '{}' in '{}'", printable(name),
                                  printable(tree.unified()->own.native())),
                      "that group is not the caller's: let one be delegated");
  }
  return CgroupMaker::create(tree, name, controllers);
}

Cgroup CgroupMaker::create(const CgroupTree& tree, const std::string& name,
                           const std::vector<Controller>& controllers) {
  check_name(name);
  Cgroup group;
  add_parts(group, tree, name, controllers, false);
  return group;
}

Cgroup CgroupMaker::create_unnamed(const CgroupTree& tree,
                                   const std::vector<Controller>& controllers) {
  remove_leftovers(tree, *wanted_in(tree, controllers).front().hierarchy);
  static std::atomic<unsigned> number{0};
  for (;;) {
    Cgroup group;
    try {
      add_parts(group, tree, unnamed(++number), controllers, true);
      return group;
    } catch (const SystemError& error) {
      // One that a process of the same number has left, or that was taken for a leftover.
      if (error.code().value() != EEXIST && error.code().value() != ESTALE) throw;
    }
  }
}

void CgroupMaker::add_parts(Cgroup& group, const CgroupTree& tree, const std::string& name,
                            const std::vector<Controller>& controllers, bool locked) {
  group.owned_ = true;
  for (Wanted& wanted : wanted_in(tree, controllers)) {
    const auto& hierarchy = *wanted.hierarchy;
    CgroupPart part = make_part(CgroupDirectory::open(hierarchy.own, hierarchy.unified), name,
                                std::move(wanted.controllers), kCallersLeaf);
    part.names = hierarchy.controllers;
    part.freezer = wanted.freezer;
    group.parts_.push_back(std::move(part));
    if (locked && group.parts_.size() == 1) lock(group.parts_.front(), name);
  }
}

std::optional<Cgroup> CgroupMaker::find_unnamed(const CgroupTree& tree) {
  Cgroup group;
  for (detail::CgroupHierarchy hierarchy : tree.hierarchies()) {
    hierarchy.own = to_unnamed(hierarchy.own);
    if (!hierarchy.own.empty()) group.parts_.push_back(existing_part(hierarchy));
  }
  if (group.parts_.empty()) return std::nullopt;
  return group;
}

Cgroup Cgroup::of(int pid) {
  const CgroupTree tree = CgroupTree::of(std::to_string(pid));
  Cgroup group;
  for (const auto& hierarchy : tree.hierarchies()) group.parts_.push_back(existing_part(hierarchy));
  if (group.parts_.empty()) {
    throw SystemError(ENOENT, "cannot find a mounted hierarchy of control groups");
  }
  return group;
}

Cgroup Cgroup::create_child(const std::string& name, const std::vector<Controller>& controllers) {
  check_name(name);
  Cgroup child;
  child.owned_ = true;
  for (const CgroupPart& part : parts_) {
    std::vector<Controller> wanted;
    for (const Controller controller : controllers) {
      if (part.has(controller)) wanted.push_back(controller);
    }
    if (wanted.empty() && &part != &leader()) continue;
    CgroupPart made =
        make_part(CgroupDirectory::open(part.directory.path(), part.directory.unified()), name,
                  std::move(wanted), detail::kOwnLeaf);
    made.names = part.names;
    made.freezer = part.freezer;
    child.parts_.push_back(std::move(made));
  }
  for (const Controller controller : controllers) {
    if (child.part_with(controller) != nullptr) continue;
    throw SystemError(ENOENT,
                      fmt::format("cannot limit '{}' in a group below '{}'", to_string(controller),
                                  leader().directory.path().native()),
                      "the group itself has no such limit");
  }
  return child;
}

const CgroupPart* Cgroup::part_with(Controller controller) const noexcept {
  for (const CgroupPart& part : parts_) {
    if (part.has(controller)) return &part;
  }
  return nullptr;
}

/// The part that stops, kills and tells when the group is empty.
const CgroupPart& Cgroup::leader() const {
  if (parts_.empty()) throw std::invalid_argument("the control group has been removed");
  return parts_.front();
}

void Cgroup::set(const Limits& limits) {
  detail::check_limits(limits);
  for (const Controller controller : controllers_of(limits)) {
    const CgroupPart* part = part_with(controller);
    if (part == nullptr) {
      throw SystemError(ENOENT, fmt::format("cannot limit '{}'", to_string(controller)),
                        "the group was made without that controller");
    }
    auto settings = detail::settings_for(limits, controller, part->directory.unified());
    put_in_order(part->directory, settings);
    for (const CgroupSetting& setting : settings) {
      if (is_superfluous(setting, part->directory, limits)) continue;
      try {
        part->directory.write(setting.file, setting.text);
      } catch (const SystemError& error) {
        refuse_setting(setting, part->directory, error);
      }
    }
  }
}

void Cgroup::attach(int pid) {
  for (const CgroupPart& part : parts_) part.directory.add(pid);
}

void Cgroup::freeze() {
  if (!leader().directory.unified() && !leader().freezer) {
    throw SystemError(ENOTSUP, "cannot freeze a control group",
                      "mount the hierarchy of version 2, or the freezer's");
  }
  leader().directory.freeze();
}

void Cgroup::thaw() { leader().directory.thaw(); }

void Cgroup::kill() {
  const CgroupPart& part = leader();
  if (part.directory.unified()) return part.directory.kill();
  // What is frozen cannot fork while the signals are sent.
  if (part.freezer) part.directory.freeze();
  part.directory.kill();
  if (part.freezer) part.directory.thaw();
}

bool Cgroup::populated() const { return leader().directory.populated(); }

bool Cgroup::wait_empty(milliseconds timeout) const {
  return leader().directory.wait_empty(Deadline(timeout));
}

void Cgroup::remove() {
  if (parts_.empty()) return;
  if (!owned_) throw std::invalid_argument("a control group that is not owned is not removed");
  const Deadline deadline(kLongestDeath);
  // The leader last: its lock tells others that the rest is somebody's.
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    const std::string name = part->directory.path().filename();
    while (!part->parent->remove_child(name)) {
      if (deadline.is_over()) {
        throw SystemError(EBUSY,
                          fmt::format("cannot remove the control group '{}'",
                                      printable(part->directory.path().native())),
                          "a process in it does not end");
      }
      kill();
      (void)leader().directory.wait_empty(deadline);
    }
  }
  parts_.clear();
  owned_ = false;
  keeper_.reset();
}

void Cgroup::release() noexcept { owned_ = false; }

std::filesystem::path Cgroup::path(Controller controller) const {
  const CgroupPart* part = part_with(controller);
  return part == nullptr ? std::filesystem::path() : part->directory.path();
}

int Cgroup::fd() const noexcept {
  const bool unified = !parts_.empty() && parts_.front().directory.unified();
  return unified ? parts_.front().directory.fd() : -1;
}

}  // namespace sbx
