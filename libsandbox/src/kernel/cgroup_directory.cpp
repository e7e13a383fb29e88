// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <memory>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kMostRounds = 1000;

std::string cure_for(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "the caller has no control group of its own: let one be delegated, by 'systemd-run "
             "--user --scope -p Delegate=yes' say";
    case EROFS:
      return "control groups are mounted read-only here";
    default:
      return "";
  }
}

[[noreturn]] void refuse(int error, const char* verb, const fs::path& path) {
  throw SystemError(error, fmt::format("cannot {} '{}'", verb, printable(path.native())),
                    cure_for(error));
}

/// The line "KEY 1" in a file of such lines.
bool is_set(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at != std::string_view::npos && text.substr(at + key.size()).starts_with(" 1");
}

/// A file that the kernel changes and tells of it: see cgroup-v2.rst, cgroup.events.
class WatchedFile {
 public:
  explicit WatchedFile(UniqueFd fd) : fd_(std::move(fd)) {}

  /// What it holds now; changes from here on end wait().
  [[nodiscard]] std::string read() const {
    std::array<char, 512> text;
    const ssize_t size = ::pread(fd_.get(), text.data(), text.size(), 0);
    return size <= 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
  }
  void wait(const Deadline& deadline) const {
    pollfd change{.fd = fd_.get(), .events = POLLPRI, .revents = 0};
    ::poll(&change, 1, deadline.for_poll());
  }

 private:
  UniqueFd fd_;
};

void pause_briefly() {
  const timespec pause{.tv_sec = 0, .tv_nsec = 1000000};
  ::nanosleep(&pause, nullptr);
}

}  // namespace

CgroupDirectory CgroupDirectory::open(const fs::path& path, bool unified) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw_errno("cannot open the control group '{}'", printable(path.native()));
  return {std::move(fd), path, unified};
}

CgroupDirectory CgroupDirectory::make_child(const std::string& name) const {
  if (::mkdirat(fd_.get(), name.c_str(), 0755) < 0)
    refuse(errno, "make the control group", path_ / name);
  try {
    return open(path_ / name, unified_);
  } catch (const SystemError&) {
    ::unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR);  // nobody would know of it
    throw;
  }
}

std::optional<CgroupDirectory> CgroupDirectory::find_child(const std::string& name) const {
  UniqueFd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd) return CgroupDirectory(std::move(fd), path_ / name, unified_);
  if (errno != ENOENT) refuse(errno, "open the control group", path_ / name);
  return std::nullopt;
}

CgroupDirectory CgroupDirectory::find_or_make_child(const std::string& name) const {
  if (auto child = find_child(name)) return std::move(*child);
  try {
    return make_child(name);
  } catch (const SystemError& error) {
    if (error.code().value() != EEXIST) throw;
    return open(path_ / name, unified_);  // another thread was faster
  }
}

std::vector<std::string> CgroupDirectory::child_names() const {
  std::vector<std::string> names;
  const UniqueFd again(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return names;  // it has been removed
  alignas(dirent64) std::array<char, 16384> entries;
  for (;;) {
    const long size = raw::getdents64(again.get(), entries.data(), entries.size());
    if (size <= 0) return names;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries.data() + at);
      at += entry->d_reclen;
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
  }
}

UniqueFd CgroupDirectory::open_file(const std::string& file, int flags) const {
  UniqueFd fd(::openat(fd_.get(), file.c_str(), flags | O_CLOEXEC));
  if (!fd) refuse(errno, (flags & O_ACCMODE) == O_RDONLY ? "read" : "write", path_ / file);
  return fd;
}

bool CgroupDirectory::has(const std::string& file) const {
  return ::faccessat(fd_.get(), file.c_str(), F_OK, 0) == 0;
}

std::string CgroupDirectory::read(const std::string& file) const {
  const UniqueFd fd = open_file(file, O_RDONLY);
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t size = ::read(fd.get(), part.data(), part.size());
    if (size == 0) return text;
    if (size < 0) refuse(errno, "read", path_ / file);
    text.append(part.data(), static_cast<std::size_t>(size));
  }
}

std::optional<std::string> CgroupDirectory::find(const std::string& file) const {
  try {
    return read(file);
  } catch (const SystemError& error) {
    const int number = error.code().value();
    if (number == ENOENT || number == EOPNOTSUPP || number == ENODEV) return std::nullopt;
    throw;
  }
}

std::string CgroupDirectory::read_line(const std::string& file) const {
  std::string text = read(file);
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

void CgroupDirectory::write(const std::string& file, std::string_view text) const {
  const UniqueFd fd = open_file(file, O_WRONLY);
  if (::write(fd.get(), text.data(), text.size()) >= 0) return;
  const int error = errno;
  throw SystemError(error,
                    fmt::format("cannot write '{}' to '{}'", printable(std::string(text)),
                                printable((path_ / file).native())),
                    cure_for(error));
}

std::vector<int> CgroupDirectory::processes() const {
  std::vector<int> pids;
  const std::string text = read("cgroup.procs");
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc() && pid > 0) pids.push_back(pid);
    at = std::min(std::find(next, end, '\n') + 1, end);
  }
  return pids;
}

std::vector<int> CgroupDirectory::all_processes() const {
  std::vector<int> pids = processes();
  for (const std::string& name : child_names()) {
    const auto child = find_child(name);
    if (!child) continue;
    const auto more = child->all_processes();
    pids.insert(pids.end(), more.begin(), more.end());
  }
  return pids;
}

void CgroupDirectory::add(int pid) const {
  try {
    write("cgroup.procs", std::to_string(pid));
  } catch (const SystemError& error) {
    if (error.code().value() == ESRCH) return;
    const auto leaf =
        error.code().value() == EBUSY && unified_ ? find_child(kOwnLeaf) : std::nullopt;
    if (!leaf) throw;
    leaf->add(pid);
  }
}

void CgroupDirectory::move_all_to(const CgroupDirectory& leaf) const {
  // Those that are there can start others meanwhile.
  for (int round = 0; round < kMostRounds; ++round) {
    const auto pids = processes();
    if (pids.empty()) return;
    for (const int pid : pids) leaf.add(pid);
  }
}

void CgroupDirectory::enable(const std::vector<Controller>& controllers,
                             const std::string& leaf) const {
  const std::string enabled = read("cgroup.subtree_control");
  std::string wanted;
  for (const Controller controller : controllers) {
    const std::string name(to_string(controller));
    const std::string words = " " + enabled.substr(0, enabled.find('\n')) + " ";
    if (words.find(" " + name + " ") == std::string::npos) wanted += " +" + name;
  }
  // Resources are shared out only among leaves, but for those of the root. Some controllers could
  // be enabled beside processes, but would make the groups below a kind that takes none.
  const bool crowded = has("cgroup.type") && !processes().empty();
  if (!crowded) {
    if (!wanted.empty()) write("cgroup.subtree_control", wanted.substr(1));
    return;
  }
  const auto to = find_or_make_child(leaf);
  try {
    move_all_to(to);
    if (!wanted.empty()) write("cgroup.subtree_control", wanted.substr(1));
  } catch (const SystemError&) {
    to.move_all_to(*this);
    (void)remove_child(leaf);
    throw;
  }
}

bool CgroupDirectory::populated() const {
  if (unified_ && has("cgroup.events")) return is_set(read("cgroup.events"), "populated");
  return !all_processes().empty();
}

bool CgroupDirectory::wait_empty(const Deadline& deadline) const {
  if (unified_) {
    const WatchedFile events(open_file("cgroup.events", O_RDONLY));
    while (is_set(events.read(), "populated")) {
      if (deadline.is_over()) return false;
      events.wait(deadline);
    }
    return true;
  }
  for (;;) {
    const auto pids = all_processes();
    if (pids.empty()) return true;
    if (deadline.is_over()) return false;
    const UniqueFd process(static_cast<int>(raw::pidfd_open(pids.front(), 0)));
    if (!process) {
      pause_briefly();  // ended, and not yet taken off the list
      continue;
    }
    pollfd end{.fd = process.get(), .events = POLLIN, .revents = 0};
    ::poll(&end, 1, deadline.for_poll());
  }
}

void CgroupDirectory::freeze() const {
  write(unified_ ? "cgroup.freeze" : "freezer.state", unified_ ? "1" : "FROZEN");
  wait_frozen();
}

void CgroupDirectory::thaw() const {
  write(unified_ ? "cgroup.freeze" : "freezer.state", unified_ ? "0" : "THAWED");
}

void CgroupDirectory::wait_frozen() const {
  if (!unified_) {
    // Reading the state is what makes the kernel look again.
    while (!read("freezer.state").starts_with("FROZEN")) pause_briefly();
    return;
  }
  const WatchedFile events(open_file("cgroup.events", O_RDONLY));
  while (!is_set(events.read(), "frozen")) {
    if (!populated()) return;
    events.wait(Deadline(std::chrono::milliseconds(100)));
  }
}

void CgroupDirectory::kill() const {
  if (unified_) return write("cgroup.kill", "1");
  for (const int pid : all_processes()) {
    const UniqueFd process(static_cast<int>(raw::pidfd_open(pid, 0)));
    // The number may be another's by now.
    const auto still = all_processes();
    const bool same = process && std::find(still.begin(), still.end(), pid) != still.end();
    if (same) raw::pidfd_send_signal(process.get(), SIGKILL);
  }
}

bool CgroupDirectory::remove_child(const std::string& name) const {
  const auto child = find_child(name);
  if (!child) return true;
  for (const std::string& below : child->child_names()) {
    if (!child->remove_child(below)) return false;
  }
  if (::unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno != EBUSY) refuse(errno, "remove the control group", path_ / name);
  return false;
}

}  // namespace sbx::detail
