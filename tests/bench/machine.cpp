// SPDX-License-Identifier: Apache-2.0
#include "bench/machine.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>

namespace sbx::bench {
namespace {

/// What follows `key` in a file of lines "key : value".
std::string value_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return text;
}

/// The peers' versions, as Debian names them.
std::string peers() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(
      ::popen("dpkg-query -W -f '${Package} ${Version}, ' bubblewrap crun runc firejail "
              "systemd-container util-linux 2>/dev/null",
              "r"),
      ::pclose);
  char text[512] = "";
  if (pipe == nullptr || std::fgets(text, sizeof text, pipe.get()) == nullptr) return "none";
  const std::string said = text;
  return said.substr(0, said.size() - 2);
}

}  // namespace

Grid machine(const std::string& command) {
  utsname system{};
  ::uname(&system);
  return {
      .title = "The machine",
      .header = {"", ""},
      .rows = {{"command", command},
               {"date", today()},
               {"kernel", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
               {"processor", fmt::format("{} of {}", ::sysconf(_SC_NPROCESSORS_ONLN),
                                         value_in("/proc/cpuinfo", "model name"))},
               {"memory", value_in("/proc/meminfo", "MemTotal")},
               {"load before", first_line("/proc/loadavg")},
               {"peers", peers()}}};
}

}  // namespace sbx::bench
