// SPDX-License-Identifier: Apache-2.0
#include "sbx/id_map.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "kernel/namespace_cure.hpp"
#include "sbx/capability.hpp"
#include "sbx/fd.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"
#include "sys/pipe.hpp"
#include "sys/proc_file.hpp"

namespace sbx {

using detail::printable;
using detail::throw_errno;

namespace {

constexpr std::uint64_t kHighestId = 4294967294;  // one more is (uid_t)-1, which means "none"
constexpr std::size_t kMostRanges = 340;          // UID_GID_MAP_MAX_EXTENTS of the kernel

/// Up to the next `separator`, which it eats; all the rest when there is none.
std::string_view take_field(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const auto field = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return field;
}

// --- reading a map -------------------------------------------------------------------------------

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw std::invalid_argument(
      fmt::format("cannot read the id map '{}': {}", printable(std::string(text)), reason));
}

IdRange parse_range(std::string_view text, std::string_view whole) {
  std::array<std::uint32_t, 3> numbers{};
  std::size_t found = 0;
  for (bool more = true; more; ++found) {
    more = text.find(':') != std::string_view::npos;
    const auto number = detail::parse_unsigned(take_field(text, ':'), kHighestId);
    if (!number || found == numbers.size()) refuse(whole, "a range is INSIDE:OUTSIDE:COUNT");
    numbers[found] = static_cast<std::uint32_t>(*number);
  }
  if (found != numbers.size()) refuse(whole, "a range is INSIDE:OUTSIDE:COUNT");

  const IdRange range{.inside = numbers[0], .outside = numbers[1], .count = numbers[2]};
  if (range.count == 0) refuse(whole, "a range is empty");
  if (range.count - 1 > kHighestId - range.inside || range.count - 1 > kHighestId - range.outside) {
    refuse(whole, "a range goes beyond the id 4294967294");
  }
  return range;
}

bool overlap(std::uint32_t a, std::uint32_t a_count, std::uint32_t b, std::uint32_t b_count) {
  return a < std::uint64_t{b} + b_count && b < std::uint64_t{a} + a_count;
}

// --- writing a map -------------------------------------------------------------------------------

/// What differs between the map of users and that of groups.
struct MapKind {
  std::string_view file;        // below /proc/PID
  Capability capability;        // whose holder may write whatever he likes
  std::string_view program;     // what writes for an ordinary user
  std::string_view subid_file;  // what that program goes by
  std::uint32_t (*own_id)();
  bool needs_setgroups_denied;
};

constexpr MapKind kUids{.file = "uid_map",
                        .capability = Capability::kSetuid,
                        .program = "newuidmap",
                        .subid_file = "/etc/subuid",
                        .own_id = [] { return std::uint32_t{::geteuid()}; },
                        .needs_setgroups_denied = false};
constexpr MapKind kGids{.file = "gid_map",
                        .capability = Capability::kSetgid,
                        .program = "newgidmap",
                        .subid_file = "/etc/subgid",
                        .own_id = [] { return std::uint32_t{::getegid()}; },
                        .needs_setgroups_denied = true};

/// One map on its way to one process.
struct MapWrite {
  const MapKind& kind;
  int pid;
  const IdMap& map;

  [[nodiscard]] std::string attempt() const {
    std::string ranges;
    for (const auto& [inside, outside, count] : map) {
      ranges += fmt::format("{}{} {} {}", ranges.empty() ? "" : ", ", inside, outside, count);
    }
    return fmt::format("cannot write the {} '{}' of process {}", kind.file, printable(ranges), pid);
  }
};

/// 0, or the errno of the write.
int try_write(int pid, std::string_view name, std::string_view text) {
  const std::string path = fmt::format("/proc/{}/{}", pid, name);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT ? ESRCH : errno;
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

int try_write(const MapWrite& job) {
  std::string lines;
  for (const auto& [inside, outside, count] : job.map) {
    lines += fmt::format("{} {} {}\n", inside, outside, count);
  }
  return try_write(job.pid, job.kind.file, lines);
}

/// Whether process `pid` is in the user namespace of the caller, who then writes his own map.
bool shares_user_namespace(int pid) {
  struct stat own {};
  struct stat theirs {};
  return ::stat("/proc/thread-self/ns/user", &own) == 0 &&
         ::stat(fmt::format("/proc/{}/ns/user", pid).c_str(), &theirs) == 0 &&
         own.st_ino == theirs.st_ino;
}

/// Whether the map is the one that the kernel lets everybody write: of his own id and no other.
bool maps_own_id(const MapWrite& job) {
  if (job.map.size() != 1 || job.map.front().count != 1) return false;
  // Who has moved into the new user namespace has no id there yet, and the kernel has to judge.
  return job.map.front().outside == job.kind.own_id() || shares_user_namespace(job.pid);
}

std::string find_program(std::string_view name) {
  for (const char* folder : {"/usr/bin", "/bin", "/usr/sbin"}) {
    std::string path = fmt::format("{}/{}", folder, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  throw SystemError(ENOENT, fmt::format("cannot run '{}'", name), "install the package uidmap");
}

std::vector<std::string> command_line(const MapWrite& job) {
  std::vector<std::string> words = {find_program(job.kind.program), std::to_string(job.pid)};
  for (const auto& [inside, outside, count] : job.map) {
    for (const auto number : {inside, outside, count}) words.push_back(std::to_string(number));
  }
  return words;
}

/// Starts a program with its standard error on `error_output`.
pid_t spawn(const std::vector<std::string>& words, int error_output) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char locale[] = "LC_ALL=C";  // its words end up in our message
  char* environment[] = {locale, nullptr};

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, error_output, STDERR_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw SystemError(error, fmt::format("cannot run '{}'", words.front()));
  return pid;
}

std::string read_available(int fd) {
  std::string text;
  std::array<char, 512> part;
  for (;;) {
    const ssize_t size = ::read(fd, part.data(), part.size());
    if (size <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
}

/// Whether the program of that process, which ends here, has written the map.
bool succeeded(pid_t program, const MapWrite& job) {
  siginfo_t end{};
  while (::waitid(P_PID, static_cast<id_t>(program), &end, WEXITED) < 0) {
    if (errno == EINTR) continue;
    // The caller ignores SIGCHLD, or another thread of his waits for whatever child ends and was
    // faster than this one. The map itself knows the outcome then.
    return !detail::read_file(fmt::format("/proc/{}/{}", job.pid, job.kind.file)).empty();
  }
  return end.si_code == CLD_EXITED && end.si_status == 0;
}

void write_by_program(const MapWrite& job) {
  // Read when the program is gone, and without waiting for the end of the pipe: a child that
  // another thread forks meanwhile may hold it open for long.
  const detail::Pipe errors(O_NONBLOCK);

  const pid_t program = spawn(command_line(job), errors.write.get());
  if (succeeded(program, job)) return;

  const std::string words = read_available(errors.read.get());
  throw SystemError(EPERM, job.attempt(),
                    fmt::format("{}; what a user may map is in {}",
                                printable(words.substr(0, words.find('\n'))), job.kind.subid_file));
}

void write_map(const MapWrite& job) {
  if (job.map.empty()) return;

  int error = try_write(job);
  const bool own_id = error == EPERM && maps_own_id(job);
  if (own_id && job.kind.needs_setgroups_denied) {
    // A file may be closed to the members of a group, who must not get at it by leaving the group.
    try_write(job.pid, "setgroups", "deny");
    error = try_write(job);
  }
  if (error == 0) return;
  if (error == EINVAL) {
    throw SystemError(error, job.attempt(),
                      "a map is at most 340 ranges in a page of text, which do not overlap");
  }

  const bool privileged = ThreadCapabilities::current().effective.contains(job.kind.capability);
  if (error == EPERM && !own_id && !privileged) return write_by_program(job);
  if (error == EACCES && ::prctl(PR_GET_DUMPABLE) != 1) {
    throw SystemError(error, job.attempt(),
                      "a caller who is not dumpable (PR_SET_DUMPABLE) cannot write it");
  }
  throw SystemError(error, job.attempt(),
                    privileged ? std::string() : detail::user_namespace_cure(error));
}

}  // namespace

IdMap parse_id_map(std::string_view text) {
  IdMap map;
  std::string_view rest = text;
  for (bool more = true; more;) {
    more = rest.find(',') != std::string_view::npos;
    const IdRange range = parse_range(take_field(rest, ','), text);
    for (const IdRange& other : map) {
      if (overlap(range.inside, range.count, other.inside, other.count) ||
          overlap(range.outside, range.count, other.outside, other.count)) {
        refuse(text, "two ranges overlap");
      }
    }
    map.push_back(range);
    if (map.size() > kMostRanges) refuse(text, "it has more than 340 ranges");
  }
  return map;
}

std::optional<std::uint32_t> map_to_outside(const IdMap& map, std::uint32_t inside) {
  for (const IdRange& range : map) {
    if (inside >= range.inside && inside - range.inside < range.count) {
      return range.outside + (inside - range.inside);
    }
  }
  return std::nullopt;
}

std::vector<IdRange> subordinate_ids(const std::string& file, const std::string& user,
                                     std::uint32_t uid) {
  if (::access(file.c_str(), F_OK) < 0 && errno == ENOENT) return {};

  const std::string text = detail::read_file(file);
  const std::string number = std::to_string(uid);
  std::vector<IdRange> found;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    const auto owner = take_field(line, ':');
    const auto first = detail::parse_unsigned(take_field(line, ':'), kHighestId);
    const auto count = detail::parse_unsigned(line, kHighestId);
    if (owner.empty() || (owner != user && owner != number)) continue;
    // newuidmap(1), too, passes over a line that makes no sense.
    if (!first || !count || *count == 0 || *count - 1 > kHighestId - *first) continue;
    found.push_back({.inside = 0,
                     .outside = static_cast<std::uint32_t>(*first),
                     .count = static_cast<std::uint32_t>(*count)});
  }
  return found;
}

void write_id_maps(int pid, const IdMap& uids, const IdMap& gids) {
  write_map({kUids, pid, uids});
  write_map({kGids, pid, gids});
}

}  // namespace sbx
