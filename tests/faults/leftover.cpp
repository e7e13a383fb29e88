// SPDX-License-Identifier: Apache-2.0
#include "faults/leftover.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "support/process.hpp"

namespace faults {

namespace fs = std::filesystem;

namespace {

using Take = std::function<void(const std::string&)>;

void lines_of(const char* path, const Take& take) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) take(std::string(path) + " " + line);
}

void names_in(const fs::path& directory, const Take& take) {
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(directory, absent)) take(entry.path().native());
}

/// Files that carry the project's name; not directories, which other suites that run now make.
void own_names_in(const fs::path& directory, const Take& take) {
  names_in(directory, [&](const std::string& path) {
    const std::string name = fs::path(path).filename();
    if (name.rfind("sbx-", 0) == 0 && !fs::is_directory(path)) take(path);
  });
}

/// Groups with one of the project's names, below those that this process is in.
void own_cgroups(const Take& take) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string number;
    std::string controllers;
    std::string path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (controllers.rfind("name=", 0) == 0) controllers.erase(0, 5);
    const fs::path mounted = controllers.empty() ? fs::path("/sys/fs/cgroup/unified")
                                                 : fs::path("/sys/fs/cgroup") / controllers;
    const fs::path top = fs::exists(mounted) ? mounted : fs::path("/sys/fs/cgroup");
    std::error_code absent;
    for (auto entry = fs::recursive_directory_iterator(top.native() + path, absent);
         entry != fs::recursive_directory_iterator(); entry.increment(absent)) {
      const std::string name = entry->path().filename();
      const bool own = name.find("sbx") != name.npos || name.find("sandbox") != name.npos;
      if (own && entry->is_directory(absent)) take("cgroup " + entry->path().native());
    }
  }
}

/// Sockets with a path or an abstract name that is one of the project's.
void own_sockets(const Take& take) {
  std::ifstream file("/proc/net/unix");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string word;
    for (int i = 0; i < 7; ++i) fields >> word;
    if (!(fields >> word)) continue;
    const bool own = word.find("sbx") != word.npos || word.find("init.sock") != word.npos;
    if (own) take("socket " + word);
  }
}

}  // namespace

Inventory Inventory::take() {
  Inventory all;
  const Take take = [&](const std::string& thing) { all.things_.insert(thing); };
  lines_of("/proc/self/mountinfo", take);
  for (const char* path : {"/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"})
    lines_of(path, take);
  for (const char* path : {"/sys/class/net", "/dev/shm", "/dev/mqueue"}) names_in(path, take);
  own_names_in("/tmp", take);
  own_cgroups(take);
  own_sockets(take);
  for (const auto& [fd, target] : sbx::test::open_fds())
    take("descriptor " + std::to_string(fd) + " " + target);
  return all;
}

std::vector<std::string> Inventory::beyond(const Inventory& before) const {
  std::vector<std::string> more;
  std::set_difference(things_.begin(), things_.end(), before.things_.begin(), before.things_.end(),
                      std::back_inserter(more));
  return more;
}

std::vector<std::string> Inventory::left() const {
  std::vector<std::string> more;
  sbx::test::wait_until([&] {
    more = take().beyond(*this);
    return more.empty();
  });
  return more;
}

namespace {

void reap() {
  while (::waitpid(-1, nullptr, __WALL | WNOHANG) > 0) {
  }
}

}  // namespace

Orphanage::Orphanage() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

Orphanage::~Orphanage() {
  sbx::test::wait_until([] {
    const auto below = sbx::test::pids_below(::getpid());
    for (const pid_t pid : below) ::kill(pid, SIGKILL);
    reap();
    return below.empty();
  });
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

std::vector<std::string> Orphanage::left() const {
  std::vector<pid_t> below;
  sbx::test::wait_until([&] {
    reap();
    below = sbx::test::pids_below(::getpid());
    return below.empty();
  });
  std::vector<std::string> lines;
  for (const pid_t pid : below) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    std::string line;
    std::getline(file, line);
    std::replace(line.begin(), line.end(), '\0', ' ');
    lines.push_back(std::to_string(pid) + " " + line);
  }
  return lines;
}

}  // namespace faults
