// SPDX-License-Identifier: Apache-2.0
#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <utility>

namespace sbx::test {

namespace fs = std::filesystem;

namespace {

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) pids.push_back(std::stoi(name));
  }
  return pids;
}

/// What a file of /proc/PID holds; nothing, or a part, when the process is going. A stream would
/// throw then.
std::string text_of(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char bytes[4096];
  for (ssize_t size = 0; (size = ::read(file.get(), bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(size));
  return text;
}

/// Its stat from the third field on: the second, the name, may hold anything. Empty when it is
/// gone.
std::string stat_behind_name(pid_t pid) {
  const std::string stat = text_of(pid, "stat");
  const std::size_t name_end = stat.rfind(')');
  return name_end == std::string::npos ? "" : stat.substr(name_end + 2);
}

pid_t parent_of(pid_t pid) {
  const std::string stat = stat_behind_name(pid);
  return stat.empty() ? -1 : std::stoi(stat.substr(2));
}

}  // namespace

std::vector<std::pair<int, std::string>> open_fds() {
  const fs::path directory = fs::canonical("/proc/self/fd");

  std::vector<std::pair<int, std::string>> found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const fs::path target = fs::read_symlink(entry);
    const bool the_iterators_own = target == directory;
    if (!the_iterators_own) found.emplace_back(std::stoi(entry.path().filename()), target.native());
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path build_root() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path(); }

fs::path tool(std::string_view name) { return build_root() / "tools" / name / name; }

std::string mark(std::string_view word) {
  return "sbx-" + std::string(word) + "-" + std::to_string(::getpid());
}

std::vector<pid_t> pids_with(const std::string& mark) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_pids()) {
    if (pid == ::getpid()) continue;
    if (text_of(pid, "cmdline").find(mark) != std::string::npos) found.push_back(pid);
  }
  return found;
}

int processes_with(const std::string& mark) { return static_cast<int>(pids_with(mark).size()); }

char state_of(pid_t pid) {
  const std::string stat = stat_behind_name(pid);
  return stat.empty() ? '-' : stat[0];
}

std::vector<pid_t> pids_below(pid_t parent) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : all_pids()) children.emplace(parent_of(pid), pid);
  std::vector<pid_t> found = {parent};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto [first, last] = children.equal_range(found[i]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

ProcessSet ProcessSet::below(pid_t parent) { return ProcessSet(pids_below(parent)); }

ProcessSet::ProcessSet(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd) pidfds_.push_back(std::move(pidfd));
  }
}

bool ProcessSet::ends(std::chrono::milliseconds deadline) const {
  return wait_until(
      [&] {
        return std::all_of(pidfds_.begin(), pidfds_.end(), [](const UniqueFd& pidfd) {
          pollfd one{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
          return ::poll(&one, 1, 0) > 0;
        });
      },
      deadline);
}

}  // namespace sbx::test
