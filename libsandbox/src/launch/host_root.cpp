// SPDX-License-Identifier: Apache-2.0
#include "launch/host_root.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "sbx/fd.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;

/// Where programs and libraries live. On a merged /usr all but the first are links into it.
constexpr const char* kProgramPlaces[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                          "/lib32", "/lib64", "/libx32"};

/// Settings without secrets that programs expect; copied when small.
constexpr const char* kEtcFiles[] = {
    "/etc/bash.bashrc",   "/etc/debian_version", "/etc/gai.conf",   "/etc/host.conf",
    "/etc/inputrc",       "/etc/ld.so.cache",    "/etc/ld.so.conf", "/etc/localtime",
    "/etc/lsb-release",   "/etc/magic",          "/etc/mime.types", "/etc/networks",
    "/etc/nsswitch.conf", "/etc/os-release",     "/etc/profile",    "/etc/protocols",
    "/etc/services",      "/etc/shells",         "/etc/timezone"};

/// Folders of settings that are shown as they are.
constexpr const char* kEtcTrees[] = {
    "/etc/alternatives",  "/etc/ld.so.conf.d", "/etc/ssl/certs",     "/etc/fonts",
    "/etc/perl",          "/etc/python3",      "/etc/python3.11",    "/etc/java-17-openjdk",
    "/etc/ImageMagick-6", "/etc/php",          "/etc/pki/tls/certs", "/etc/terminfo"};

constexpr const char* kSslSettings = "/etc/ssl/openssl.cnf";

std::optional<std::string> link_target(const char* path) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(path, target, sizeof target);
  if (size <= 0) return std::nullopt;
  return std::string(target, static_cast<std::size_t>(size));
}

/// The contents of a regular file that everybody may read; none otherwise.
std::optional<std::string> public_file(const char* path) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) < 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if ((status.st_mode & S_IROTH) == 0 || status.st_size > off_t{kLargestFile}) return std::nullopt;
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(fd.get(), text.data() + size, text.size() - size);
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

void add_file(HostRoot& root, const char* path) {
  // A link into /usr, as /etc/os-release is one, stays a link.
  const auto target = link_target(path);
  if (target && target->find("usr/") != std::string::npos) {
    root.links.push_back({path, *target});
    return;
  }
  if (auto contents = public_file(path)) root.files.push_back({path, std::move(*contents)});
}

bool has_account(const std::string& text, const std::string& name, std::uint32_t id) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field[3];
    for (std::string& value : field) std::getline(fields, value, ':');
    if (field[0] == name && field[2] == std::to_string(id)) return true;
  }
  return false;
}

/// `text` without the accounts that have the name or the id, so that the one to come is the only.
std::string without_account(const std::string& text, const std::string& name, std::uint32_t id) {
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field[3];
    for (std::string& value : field) std::getline(fields, value, ':');
    if (field[0] != name && field[2] != std::to_string(id)) kept += line + "\n";
  }
  return kept;
}

}  // namespace

HostRoot read_host_root(bool with_name_servers) {
  HostRoot root;
  for (const char* place : kProgramPlaces) {
    if (const auto target = link_target(place)) {
      root.links.push_back({place, *target});
    } else if (::access(place, F_OK) == 0) {
      root.trees.push_back({place});
    }
  }
  for (const char* file : kEtcFiles) add_file(root, file);
  for (const char* tree : kEtcTrees) {
    struct stat status {};
    if (::lstat(tree, &status) == 0 && S_ISDIR(status.st_mode)) root.trees.push_back({tree});
  }
  add_file(root, kSslSettings);
  root.links.push_back({"/etc/mtab", "/proc/self/mounts"});
  // Without a network there is nobody to ask: the resolver's default, the loopback, refuses at
  // once.
  if (with_name_servers) add_file(root, "/etc/resolv.conf");
  const auto passwd = public_file("/etc/passwd");
  const auto group = public_file("/etc/group");
  root.files.push_back({"/etc/passwd", system_accounts(passwd.value_or(""))});
  root.files.push_back({"/etc/group", system_accounts(group.value_or(""))});
  return root;
}

std::string system_accounts(const std::string& text) {
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    std::string password;
    std::string id;
    std::getline(fields, name, ':');
    std::getline(fields, password, ':');
    std::getline(fields, id, ':');
    const auto number = parse_unsigned(id, 0xfffffffe);
    if (!number || (*number >= 1000 && *number != 65534)) continue;
    // A group's members are people, too.
    const bool is_group = std::count(line.begin(), line.end(), ':') == 3;
    kept += (is_group ? fmt::format("{}:x:{}:", name, id) : line) + "\n";
  }
  return kept;
}

std::vector<EtcFile> account_files(const std::string& passwd, const std::string& group,
                                   const User& user) {
  std::string users = passwd;
  if (!has_account(users, user.name, user.uid)) {
    users =
        without_account(users, user.name, user.uid) +
        fmt::format("{}:x:{}:{}::{}:/bin/sh\n", user.name, user.uid, user.gid, user.home.native());
  }
  std::string groups = group;
  const std::string gid = std::to_string(user.gid);
  if (groups.find(":" + gid + ":") == std::string::npos) {
    groups = without_account(groups, user.name, user.gid) +
             fmt::format("{}:x:{}:\n", user.name, user.gid);
  }
  return {{"/etc/passwd", std::move(users)}, {"/etc/group", std::move(groups)}};
}

std::vector<EtcFile> host_name_files(const std::string& hostname) {
  return {{"/etc/hostname", hostname + "\n"},
          {"/etc/hosts", fmt::format("127.0.0.1\tlocalhost\n127.0.1.1\t{}\n"
                                     "::1\tlocalhost ip6-localhost ip6-loopback\n",
                                     hostname)}};
}

}  // namespace sbx::detail
