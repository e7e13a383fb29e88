// SPDX-License-Identifier: Apache-2.0
#include "support/cgroup.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sbx/error.hpp"

namespace sbx::test {

namespace fs = std::filesystem;

std::string why_no_cgroups(const std::vector<Controller>& controllers) {
  try {
    Cgroup::create("sbx-test-" + std::to_string(::getpid()), controllers);
    return {};
  } catch (const SystemError& error) {
    // Without the name, so that all tests that skip have one reason.
    return error.code().message();
  }
}

namespace {

std::vector<fs::path> mounted_hierarchies() {
  std::vector<fs::path> mounts;
  std::ifstream file("/proc/self/mounts");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string device;
    std::string point;
    std::string type;
    fields >> device >> point >> type;
    if (type == "cgroup" || type == "cgroup2") mounts.emplace_back(point);
  }
  return mounts;
}

std::string limits_in(const fs::path& group) {
  std::string text;
  for (const char* name : {"cpu.max", "cpu.weight", "cpu.cfs_quota_us", "cpu.shares", "cpuset.cpus",
                           "memory.max", "memory.limit_in_bytes", "pids.max"}) {
    std::ifstream file(group / name);
    for (std::string line; std::getline(file, line);) text += " " + line;
  }
  return text;
}

/// A scope that systemd was asked for, which it removes a little after the last process in it.
bool is_in_scope(const std::string& group) {
  return group.find("/sbx-") != std::string::npos && group.find(".scope") != std::string::npos;
}

}  // namespace

std::set<std::string> all_cgroups() {
  std::set<std::string> groups;
  for (const fs::path& mount : mounted_hierarchies()) {
    groups.insert(mount.native() + limits_in(mount));
    std::error_code gone;
    for (auto entry = fs::recursive_directory_iterator(mount, gone);
         entry != fs::recursive_directory_iterator(); entry.increment(gone)) {
      if (gone) break;
      if (entry->is_directory(gone) && !is_in_scope(entry->path())) {
        groups.insert(entry->path().native() + limits_in(entry->path()));
      }
    }
  }
  return groups;
}

}  // namespace sbx::test
