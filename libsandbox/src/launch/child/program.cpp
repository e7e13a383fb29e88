// SPDX-License-Identifier: Apache-2.0
#include "launch/child/program.hpp"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include "sys/raw.hpp"

namespace sbx::child {
namespace {

constexpr int kSetMemoryMerge = 67;  // PR_SET_MEMORY_MERGE, Linux 6.4
constexpr unsigned kHighestFd = ~0U;
constexpr std::size_t kMostPassedFds = 256;

bool text_fits(const Program* program, std::uint64_t offset, std::size_t size) noexcept {
  if (offset < sizeof(Program) || offset >= size) return false;
  const char* text = at<const char>(program, static_cast<std::uint32_t>(offset));
  const char* end = at<const char>(program, static_cast<std::uint32_t>(size));
  while (text < end && *text != '\0') ++text;
  return text < end;
}

bool table_fits(const Table& table, std::size_t element, std::size_t size) noexcept {
  return table.count == 0 || (table.offset >= sizeof(Program) && table.offset % 8 == 0 &&
                              table.offset + std::uint64_t{table.count} * element <= size);
}

bool texts_fit(const Program* program, const Table& table, std::size_t size) noexcept {
  const Table terminated{.offset = table.offset, .count = table.count + 1};
  if (table.count == ~0U || !table_fits(terminated, sizeof(std::uint64_t), size)) return false;
  const auto* offsets = at<const std::uint64_t>(program, table.offset);
  for (std::uint32_t i = 0; i < table.count; ++i) {
    if (!text_fits(program, offsets[i], size)) return false;
  }
  return offsets[table.count] == 0;
}

void relocate_texts(Program* program, const Table& table) noexcept {
  auto* slots = at<std::uint64_t>(program, table.offset);
  for (std::uint32_t i = 0; i < table.count; ++i) {
    slots[i] =
        reinterpret_cast<std::uint64_t>(at<char>(program, static_cast<std::uint32_t>(slots[i])));
  }
}

Failure enter_session(const Program* program, const Place& place, int* terminal) noexcept {
  long result = place.share_session ? raw::setpgid(0, 0) : raw::setsid();
  if (result < 0) return failed(Stage::kSession, result);
  if ((program->flags & Program::kTerminal) == 0) return {};

  result = raw::ioctl(place.terminal_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (result < 0) return failed(Stage::kTerminal, result);
  *terminal = static_cast<int>(result);
  winsize size{};
  size.ws_row = program->rows;
  size.ws_col = program->columns;
  raw::ioctl(*terminal, TIOCSWINSZ, raw::address(&size));
  if (place.share_session) {
    int group = static_cast<int>(raw::getpid());
    result = raw::ioctl(*terminal, TIOCSPGRP, raw::address(&group));
  } else {
    result = raw::ioctl(*terminal, TIOCSCTTY, 0);
  }
  return result < 0 ? failed(Stage::kTerminal, result) : Failure{};
}

Failure apply_limits(const Program* policy) noexcept {
  const auto* limits = at<const Limit>(policy, policy->limits.offset);
  for (std::uint32_t i = 0; i < policy->limits.count; ++i) {
    const rlimit64 limit{.rlim_cur = limits[i].soft, .rlim_max = limits[i].hard};
    const auto resource = static_cast<std::uint32_t>(limits[i].resource);
    const long result = raw::prlimit(static_cast<int>(resource), &limit);
    if (result < 0) return failed(Stage::kRlimit, result, resource);
  }
  return {};
}

Failure apply_memory(const Program* policy) noexcept {
  if ((policy->flags & Program::kMergeMemory) != 0) {
    const long result = raw::prctl(kSetMemoryMerge, 1);
    if (result < 0) return failed(Stage::kMemoryMerge, result);
  }
  if ((policy->flags & Program::kNoRandomization) != 0) {
    const long result = raw::personality(ADDR_NO_RANDOMIZE);
    if (result < 0) return failed(Stage::kPersonality, result);
  }
  return {};
}

Failure change_identity(const Program* policy, const Program* program,
                        const Place& place) noexcept {
  const bool root = program->uid == 0;
  long result = limit_bounding_set(place.bounding, policy->capabilities);
  if (result < 0) return failed(Stage::kBounding, result);
  if (!root && policy->capabilities != 0) raw::prctl(PR_SET_KEEPCAPS, 1);
  if ((policy->flags & Program::kChangeGroups) != 0) {
    result =
        raw::setgroups(program->groups.count, at<const unsigned>(program, program->groups.offset));
    if (result < 0) return failed(Stage::kGroups, result);
  }
  if (((policy->flags | program->flags) & Program::kChangeUser) != 0) {
    result = raw::setresgid(program->gid);
    if (result >= 0) result = raw::setresuid(program->uid);
    // A change of identity marks the memory, which may be the caller's too, as not dumpable.
    if (place.dumpable >= 0)
      raw::prctl(PR_SET_DUMPABLE, static_cast<unsigned long>(place.dumpable));
    if (result < 0) return failed(Stage::kUser, result);
  }
  result = limit_capabilities(policy->capabilities, !root);
  return result < 0 ? failed(Stage::kCapabilities, result) : Failure{};
}

Failure enter_workdir(const Program* program) noexcept {
  long result = -ENOENT;
  if (program->workdir != 0) result = raw::chdir(at<const char>(program, program->workdir));
  if (result < 0 && (program->flags & Program::kWorkdirRequired) != 0) {
    return failed(Stage::kWorkdir, result);
  }
  if (result < 0 && program->home != 0) {
    result = raw::chdir(at<const char>(program, program->home));
  }
  if (result < 0) result = raw::chdir("/");
  if (result < 0) return failed(Stage::kWorkdir, result);

  // A directory outside the root, reached through a descriptor, has no path from it: the kernel
  // says "(unreachable)" in front, or refuses.
  char path[4096];
  result = raw::getcwd(path, sizeof path);
  if (result < 0) return failed(Stage::kWorkdirOutside, result);
  return path[0] == '/' ? Failure{} : failed(Stage::kWorkdirOutside, -EACCES);
}

/// Moves the passed descriptors to their numbers. All are copied out of the way first, because
/// one's new number may be another's old one.
Failure place_descriptors(const Program* program, const int* passed, int terminal) noexcept {
  const auto* inner = at<const std::int32_t>(program, program->inner_fds.offset);
  const std::uint32_t count = program->inner_fds.count;
  int moved[kMostPassedFds];
  int free_number = 3;
  if (count > kMostPassedFds) return failed(Stage::kDescriptors, -E2BIG);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (inner[i] >= free_number) free_number = inner[i] + 1;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const long copy = raw::fcntl(passed[i], F_DUPFD_CLOEXEC, free_number);
    if (copy < 0) return failed(Stage::kDescriptors, copy, i);
    moved[i] = static_cast<int>(copy);
  }
  int terminal_copy = -1;
  if (terminal >= 0) {
    terminal_copy = static_cast<int>(raw::fcntl(terminal, F_DUPFD_CLOEXEC, free_number));
    if (terminal_copy < 0) return failed(Stage::kDescriptors, terminal_copy);
  }

  long result = raw::close_range(0, kHighestFd, CLOSE_RANGE_CLOEXEC);
  if (result < 0) return failed(Stage::kDescriptors, result);
  for (std::uint32_t i = 0; i < count; ++i) {
    result = raw::dup3(moved[i], inner[i], 0);
    if (result < 0) return failed(Stage::kDescriptors, result, i);
  }
  for (int number = 0; terminal_copy >= 0 && number < 3; ++number) {
    result = raw::dup3(terminal_copy, number, 0);
    if (result < 0) return failed(Stage::kDescriptors, result);
  }
  return {};
}

long load_filter(const Program* policy, const Table& table) noexcept {
  if (table.count == 0) return 0;
  const sock_fprog filter{.len = static_cast<unsigned short>(table.count),
                          .filter = at<sock_filter>(policy, table.offset)};
  return raw::seccomp(SECCOMP_SET_MODE_FILTER, 0, &filter);
}

Failure confine(const Program* policy) noexcept {
  if ((policy->flags & Program::kNoNewPrivileges) != 0) {
    const long result = raw::prctl(PR_SET_NO_NEW_PRIVS, 1);
    if (result < 0) return failed(Stage::kNoNewPrivileges, result);
  }
  long result = load_filter(policy, policy->guard);
  if (result >= 0) result = load_filter(policy, policy->filter);
  return result < 0 ? failed(Stage::kSeccomp, result) : Failure{};
}

}  // namespace

bool is_whole(const Program* program, std::size_t size) noexcept {
  if (size < sizeof(Program) || program->magic != Program::kMagic || program->size != size) {
    return false;
  }
  return texts_fit(program, program->argv, size) &&
         texts_fit(program, program->environment, size) &&
         texts_fit(program, program->candidates, size) &&
         table_fits(program->groups, sizeof(unsigned), size) &&
         table_fits(program->limits, sizeof(Limit), size) &&
         table_fits(program->guard, sizeof(sock_filter), size) &&
         table_fits(program->filter, sizeof(sock_filter), size) &&
         table_fits(program->inner_fds, sizeof(std::int32_t), size) &&
         (program->workdir == 0 || text_fits(program, program->workdir, size)) &&
         (program->home == 0 || text_fits(program, program->home, size));
}

void relocate(Program* program) noexcept {
  relocate_texts(program, program->argv);
  relocate_texts(program, program->environment);
  relocate_texts(program, program->candidates);
}

long reset_signal_actions() noexcept {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    std::uint64_t mask;
  } const standard{SIG_DFL, 0, nullptr, 0};
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    const long result = raw::sigaction(signal, &standard, nullptr);
    if (result < 0) return result;
  }
  return 0;
}

long release_signals() noexcept {
  const std::uint64_t nothing = 0;
  return raw::sigprocmask(SIG_SETMASK, &nothing, nullptr);
}

long limit_bounding_set(std::uint64_t present, std::uint64_t kept) noexcept {
  const std::uint64_t dropped = present & ~kept;
  for (unsigned capability = 0; capability < 64; ++capability) {
    if ((dropped >> capability & 1) == 0) continue;
    const long result = raw::prctl(PR_CAPBSET_DROP, capability);
    if (result == -EINVAL && capability > CAP_LAST_CAP) break;  // as many as the kernel knows
    // Who may not drop it is right when it is not there.
    const bool absent = result == -EPERM && raw::prctl(PR_CAPBSET_READ, capability) == 0;
    if (result < 0 && !absent) return result;
  }
  return 0;
}

std::uint64_t permitted_capabilities() noexcept {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  if (raw::capget(&header, sets) < 0) return ~std::uint64_t{0};
  return std::uint64_t{sets[1].permitted} << 32 | sets[0].permitted;
}

long limit_capabilities(std::uint64_t kept, bool ambient) noexcept {
  const auto low = static_cast<std::uint32_t>(kept);
  const auto high = static_cast<std::uint32_t>(kept >> 32);
  const std::uint32_t inherited = ambient ? ~0U : 0U;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct sets[2] = {{low, low, low & inherited},
                                          {high, high, high & inherited}};
  long result = raw::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  if (result >= 0) result = raw::capset(&header, sets);
  for (unsigned capability = 0; ambient && result >= 0 && capability < 64; ++capability) {
    if ((kept >> capability & 1) == 0) continue;
    result = raw::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability);
  }
  return result < 0 ? result : 0;
}

Failure enter_groups(const int* entrances, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const long result = raw::write(entrances[i], "0", 1);
    if (result < 0) return failed(Stage::kControlGroup, result);
  }
  return {};
}

Failure execute(Program* program) noexcept {
  char** argv = at<char*>(program, program->argv.offset);
  char* const* environment = at<char*>(program, program->environment.offset);
  char* const* candidates = at<char*>(program, program->candidates.offset);
  long reason = -ENOENT;
  for (std::uint32_t i = 0; i < program->candidates.count; ++i) {
    long result = raw::execveat(AT_FDCWD, candidates[i], argv, environment, 0);
    if (result == -ENOEXEC) {
      // A script without "#!" is the shell's, as execvp(3) and every shell have it.
      static char shell[] = "/bin/sh";
      argv[-1] = shell;
      argv[0] = candidates[i];
      result = raw::execveat(AT_FDCWD, shell, argv - 1, environment, 0);
      return failed(Stage::kExec, result == -ENOENT ? -ENOEXEC : result);
    }
    const bool absent = result == -ENOENT || result == -ENOTDIR;
    if (!absent && result != -EACCES) return failed(Stage::kExec, result);
    if (!absent) reason = result;
  }
  return failed(Stage::kExec, reason);
}

Failure become_program(Program* policy, Program* program, const int* passed,
                       const Place& place) noexcept {
  int terminal = -1;
  if ((program->flags & Program::kSetUmask) != 0) raw::umask(program->umask);
  Failure failure = enter_groups(place.entrances, place.entrance_count);
  if (!failure) failure = enter_session(program, place, &terminal);
  if (!failure) failure = apply_limits(policy);
  if (!failure) failure = apply_memory(policy);
  // Without no_new_privs a filter takes a capability, which the change of identity gives up.
  const bool confine_first = (policy->flags & Program::kNoNewPrivileges) == 0;
  if (!failure && confine_first) failure = confine(policy);
  if (!failure) failure = change_identity(policy, program, place);
  if (!failure) failure = enter_workdir(program);
  if (failure) return failure;

  if (place.caller_fd >= 0) {
    // The change of identity has cleared the parent-death signal; whoever died before it is set
    // again has hung up.
    const long result = raw::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (result < 0) return failed(Stage::kCallerGone, result);
    pollfd caller{.fd = place.caller_fd, .events = 0, .revents = 0};
    const timespec now{};
    if (raw::ppoll(&caller, 1, &now) > 0) return failed(Stage::kCallerGone, -ESRCH);
  }
  failure = place_descriptors(program, passed, terminal);
  if (failure) return failure;
  const long result = release_signals();
  if (result < 0) return failed(Stage::kSignals, result);
  if (!confine_first) failure = confine(policy);
  return failure ? failure : execute(program);
}

}  // namespace sbx::child
