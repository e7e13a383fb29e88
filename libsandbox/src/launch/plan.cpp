// SPDX-License-Identifier: Apache-2.0
#include "launch/plan.hpp"

#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "kernel/cgroup_settings.hpp"
#include "launch/child/protocol.hpp"
#include "launch/group.hpp"
#include "launch/network/attachment.hpp"
#include "launch/network/pasta.hpp"
#include "sbx/ksm.hpp"
#include "sbx/namespace.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t kLongestHostname = 64;
constexpr std::size_t kLargestCommand = std::size_t{8} << 20;
constexpr std::size_t kLongestName = 32;

constexpr std::uint64_t flag(NamespaceKind kind) { return static_cast<std::uint64_t>(kind); }

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

std::string path_of(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) return variable.substr(5);
  }
  return kDefaultPath;
}

bool is_set(const std::vector<std::string>& environment, const std::string& name) {
  return std::any_of(environment.begin(), environment.end(),
                     [&](const std::string& variable) { return variable.starts_with(name + "="); });
}

void require_short(const std::string& text, std::size_t longest, const char* what) {
  if (text.size() > longest) {
    refuse(fmt::format("the {} '{}' is longer than {} bytes", what, printable(text), longest));
  }
}

void check_path(const std::filesystem::path& path, const char* what, bool absolute) {
  require_short(path.native(), PATH_MAX - 1, what);
  if (path.native().find('\0') != std::string::npos)
    refuse(fmt::format("the {} holds a NUL", what));
  if (absolute && !path.is_absolute()) {
    refuse(fmt::format("the {} '{}' is not absolute", what, printable(path.native())));
  }
}

void check_command(const Command& command) {
  std::size_t size = 0;
  for (const auto* texts : {&command.argv, &command.environment}) {
    for (const std::string& text : *texts) {
      size += text.size() + 1;
      if (text.find('\0') != std::string::npos) refuse("a word of the command holds a NUL");
    }
  }
  if (size > kLargestCommand)
    refuse(fmt::format("the command is longer than {} bytes", kLargestCommand));
  if (!command.argv.empty() && command.argv[0].empty()) refuse("the command's name is empty");
  for (const std::string& variable : command.environment) {
    if (variable.find('=') == std::string::npos || variable[0] == '=') {
      refuse(fmt::format("the environment's '{}' is not NAME=VALUE", printable(variable)));
    }
  }
  if (!command.workdir.empty()) check_path(command.workdir, "working directory", true);
  if (command.fds.size() > child::kMostDescriptors - 2) refuse("too many descriptors are passed");
  for (const PassedFd& fd : command.fds) {
    if (fd.outer < 0 || fd.inner < 0) refuse("a passed descriptor has no number");
    struct stat status {};
    if (::fstat(fd.outer, &status) == 0 && S_ISDIR(status.st_mode)) {
      refuse(fmt::format("descriptor {} is a directory, by which a program leaves the sandbox",
                         fd.outer));
    }
  }
}

void check_user(const User& user) {
  require_short(user.name, kLongestName, "user name");
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '$';
  };
  if (user.name.empty() || user.name[0] == '-' ||
      !std::all_of(user.name.begin(), user.name.end(), allowed)) {
    refuse(fmt::format("'{}' is no user name", printable(user.name)));
  }
  check_path(user.home, "home", true);
  if (user.home.native().find_first_of(":\n") != std::string::npos) {
    refuse(
        fmt::format("the home '{}' does not fit into /etc/passwd", printable(user.home.native())));
  }
}

void check_spec(const Spec& spec) {
  check_command(spec.command);
  require_short(spec.hostname, kLongestHostname, "hostname");
  const auto printable_name = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  };
  if (spec.hostname.empty() ||
      !std::all_of(spec.hostname.begin(), spec.hostname.end(), printable_name)) {
    refuse(fmt::format("'{}' is no hostname", printable(spec.hostname)));
  }
  check_limits(spec.limits);
  check_network(spec.network);
  check_pasta(spec.network);
  if (spec.command.limits != Limits{}) {
    refuse("the limits of the sandbox's own command are the sandbox's");
  }
  if (spec.cpu_time_max && spec.cpu_time_max->count() <= 0) {
    refuse("the processor time is not more than 0");
  }
  if (spec.init == Init::kNone) {
    if (spec.command.argv.empty()) refuse("without an init a command is needed");
    if (!spec.control_socket.empty()) refuse("without an init nobody listens on a control socket");
    if (spec.cpu_time_max) refuse("without an init nobody watches the processor time");
    // Until it executes, the program has the caller's memory, which would be marked for ever.
    if (spec.memory_merge != MemoryMerge::kOff) refuse("without an init no memory can be merged");
    if (limits_memory(spec.limits)) refuse("without an init no memory can be limited");
    if (spec.network.mode == Network::Mode::kUser) {
      refuse("without an init no program waits for the network by pasta");
    }
  }
  if (spec.memory_merge != MemoryMerge::kOff && !ksm::whole_process_supported()) {
    refuse("this kernel cannot merge a program's memory (PR_SET_MEMORY_MERGE, Linux 6.4)");
  }
}

/// A terminal takes the place of the standard three.
bool is_passed(const PassedFd& fd, const Command& command) {
  return !command.terminal || fd.inner > 2;
}

std::uint64_t namespaces_for(const Spec& spec, const Identity& identity) {
  using enum NamespaceKind;
  std::uint64_t flags =
      flag(kMount) | flag(kPid) | flag(kIpc) | flag(kUts) | flag(kCgroup) | flag(kTime);
  if (spec.network.mode != Network::Mode::kHost) flags |= flag(kNet);
  if (identity.user_namespace) flags |= flag(kUser);
  return flags;
}

bool has_writable_bind(const Spec& spec) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const MountPoint& mount) {
    const Bind* bind = std::get_if<Bind>(&mount);
    return bind != nullptr && !bind->read_only;
  });
}

/// Whether a file made inside can be, outside, that of somebody who is more than the program; and
/// the filter does not see to it already that it is at least no set-user-id one.
bool shows_files_of_others(const Spec& spec, const Identity& identity) {
  const auto* filter = spec.seccomp.data();
  if (filter == SeccompFilter::default_profile().data()) return false;
  if (filter == SeccompFilter::strict_profile().data()) return false;
  return identity.privileged &&
         (has_writable_bind(spec) || spec.root.overlay == Root::Overlay::kKeep);
}

/// Capabilities of files: in a bind whose owner is user 0 inside they would be root's outside.
void check_file_capabilities(const Spec& spec, const Identity& identity) {
  const bool may_set = identity.capabilities.contains(Capability::kSetfcap);
  if (may_set && identity.privileged && identity.user_namespace && has_writable_bind(spec)) {
    refuse(
        "with the capability setfcap nothing can be bound writable: files could get there "
        "capabilities that hold outside");
  }
}

ProgramParts policy_parts(const Spec& spec, const Identity& identity) {
  Command command = spec.command;
  if (spec.memory_merge == MemoryMerge::kDeep && !is_set(command.environment, "PYTHONHASHSEED")) {
    command.environment.emplace_back("PYTHONHASHSEED=0");
  }
  ProgramParts parts = command_parts(command, {.uid = identity.user.uid,
                                               .gid = identity.user.gid,
                                               .groups = identity.user.groups,
                                               .home = identity.user.home.native()});
  using Program = child::Program;
  if (spec.no_new_privileges) parts.flags |= Program::kNoNewPrivileges;
  if (identity.may_set_groups && identity.maps_root) parts.flags |= Program::kChangeGroups;
  if (identity.maps_root) parts.flags |= Program::kChangeUser;
  if (spec.memory_merge != MemoryMerge::kOff) parts.flags |= Program::kMergeMemory;
  if (spec.memory_merge == MemoryMerge::kDeep) parts.flags |= Program::kNoRandomization;
  parts.capabilities = identity.capabilities.bits();
  for (const Rlimit& limit : spec.rlimits) {
    parts.limits.push_back({.resource = static_cast<std::uint64_t>(limit.resource),
                            .soft = limit.soft,
                            .hard = limit.hard});
  }
  parts.filter = spec.seccomp;
  if (shows_files_of_others(spec, identity)) parts.guard = SeccompFilter::no_set_id();
  return parts;
}

/// What the init itself needs: to start programs as other users, and to signal them.
std::uint64_t init_capabilities(const Spec& spec, const Identity& identity) {
  using enum Capability;
  CapabilitySet kept = identity.capabilities;
  if (!spec.no_new_privileges)
    kept.add(kSysAdmin).add(kSetpcap);  // to load a filter, and to give up
  if (identity.maps_root) kept.add(kSetuid).add(kSetgid).add(kSetpcap).add(kKill);
  return kept.bits();
}

}  // namespace

ProgramParts command_parts(const Command& command, const Occupant& occupant) {
  check_command(command);
  ProgramParts parts;
  parts.uid = command.user ? command.user->uid : occupant.uid;
  parts.gid = command.user ? command.user->gid : occupant.gid;
  parts.groups = command.user ? command.user->groups : occupant.groups;
  parts.home = command.user ? complete_user(*command.user).home.native() : occupant.home;
  parts.argv = command.argv;
  parts.environment = command.environment;
  if (!is_set(parts.environment, "PATH"))
    parts.environment.push_back(fmt::format("PATH={}", kDefaultPath));
  if (!is_set(parts.environment, "HOME")) parts.environment.push_back("HOME=" + parts.home);
  if (command.terminal && !is_set(parts.environment, "TERM"))
    parts.environment.emplace_back("TERM=linux");
  if (!command.argv.empty()) {
    parts.candidates = candidates_for(command.argv[0], command.environment);
  }

  using Program = child::Program;
  if (parts.uid != occupant.uid || parts.gid != occupant.gid) parts.flags |= Program::kChangeUser;
  if (command.terminal) parts.flags |= Program::kTerminal;
  if (command.terminal_size) parts.terminal_size = *command.terminal_size;
  if (command.umask) parts.flags |= Program::kSetUmask;
  parts.umask = command.umask.value_or(0);
  parts.workdir = command.workdir.native();
  if (!command.workdir.empty()) {
    parts.flags |= Program::kWorkdirRequired;
  } else {
    std::error_code ignored;
    parts.workdir = std::filesystem::current_path(ignored).native();
  }
  for (const PassedFd& fd : command.fds) {
    if (is_passed(fd, command)) parts.inner_fds.push_back(fd.inner);
  }
  return parts;
}

std::vector<std::string> candidates_for(const std::string& program,
                                        const std::vector<std::string>& environment) {
  if (program.find('/') != std::string::npos) return {program};
  const std::string path = path_of(environment);
  std::vector<std::string> candidates;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string directory = path.substr(start, end - start);
    candidates.push_back((directory.empty() ? "." : directory) + "/" + program);
    start = end + 1;
  }
  return candidates;
}

void append_passed(const Command& command, std::vector<int>& fds) {
  for (const PassedFd& fd : command.fds) {
    if (is_passed(fd, command)) fds.push_back(fd.outer);
  }
}

void compile(const Spec& spec, Plan& plan) {
  check_spec(spec);
  plan.identity = resolve_identity(spec);
  check_user(plan.identity.user);
  plan.identity.user.home = normal(plan.identity.user.home);
  check_file_capabilities(spec, plan.identity);
  plan.namespaces = namespaces_for(spec, plan.identity);
  plan.hostname = spec.hostname;
  plan.program = ProgramBlock(policy_parts(spec, plan.identity));
  append_passed(spec.command, plan.passed_fds);

  child::Setup& setup = plan.setup;
  setup.hostname = plan.hostname.c_str();
  setup.loopback = spec.network.mode != Network::Mode::kHost;
  setup.open_network = is_attached(spec.network);
  setup.user_namespace = plan.identity.user_namespace;
  // Without a user 0 the set-up is done as the program's user, whose the new files then are.
  const bool others_ids = plan.identity.privileged || plan.identity.maps_root;
  setup.change_user = plan.identity.user_namespace && others_ids;
  setup.uid = plan.identity.maps_root ? 0 : plan.identity.user.uid;
  setup.gid = plan.identity.maps_root ? 0 : plan.identity.user.gid;
  setup.clear_groups = plan.identity.may_set_groups;
  setup.init_capabilities = init_capabilities(spec, plan.identity);
  if (spec.cpu_time_max) {
    plan.cpu_limit = std::to_string(spec.cpu_time_max->count() * 1000);
    setup.init_cpu_limit = plan.cpu_limit.c_str();
  }
}

}  // namespace sbx::detail
