// SPDX-License-Identifier: Apache-2.0
#include "launch/host_root.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "sbx/fd.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kDearCopy = std::size_t{16} << 10;  // from here on a mount costs less

/// Where programs and libraries live. On a merged /usr all but the first are links into it.
constexpr const char* kProgramPlaces[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                          "/lib32", "/lib64", "/libx32"};

/// Settings without secrets that programs expect; copied when small.
constexpr const char* kEtcFiles[] = {
    "/etc/bash.bashrc", "/etc/debian_version", "/etc/gai.conf",   "/etc/host.conf",
    "/etc/inputrc",     "/etc/ld.so.cache",    "/etc/localtime",  "/etc/lsb-release",
    "/etc/mime.types",  "/etc/nsswitch.conf",  "/etc/os-release", "/etc/profile",
    "/etc/protocols",   "/etc/services",       "/etc/shells",     "/etc/ssl/openssl.cnf",
    "/etc/timezone"};

/// Folders of settings that are shown as they are. Those with versions are of Debian 12 and 13 and
/// Ubuntu 24.04: to read the names in /etc would take longer than to ask for one too many.
constexpr const char* kEtcTrees[] = {"/etc/alternatives",
                                     "/etc/ssl/certs",
                                     "/etc/fonts",
                                     "/etc/perl",
                                     "/etc/python3",
                                     "/etc/python3.11",
                                     "/etc/python3.12",
                                     "/etc/python3.13",
                                     "/etc/java-17-openjdk",
                                     "/etc/java-21-openjdk",
                                     "/etc/ImageMagick-6",
                                     "/etc/ImageMagick-7",
                                     "/etc/php",
                                     "/etc/pki/tls/certs",
                                     "/etc/terminfo"};

/// What only the dynamic linker's ldconfig(8) reads, which has nothing to write in a read-only
/// root.
constexpr const char* kLinkerSettings = "/etc/ld.so.conf";
constexpr const char* kLinkerSettingsTree = "/etc/ld.so.conf.d";

/// Whether a failure says that a file is not there for the caller. Any other leaves it open, and
/// what is shown must not depend on how many descriptors the caller has left.
bool means_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP;
}

std::optional<std::string> link_target(const char* path) {
  char target[PATH_MAX];
  const ssize_t size = ::readlink(path, target, sizeof target);
  if (size < 0 && errno != EINVAL && !means_absent(errno)) throw_errno("cannot look at '{}'", path);
  if (size <= 0) return std::nullopt;
  return std::string(target, static_cast<std::size_t>(size));
}

constexpr int kReadQuietly = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

/// Opens a file of the host's; nothing when it is not there for the caller.
UniqueFd open_quietly(const char* path, int flags = 0) {
  UniqueFd file(::open(path, kReadQuietly | flags));
  if (!file && !means_absent(errno)) throw_errno("cannot read '{}'", path);
  return file;
}

/// The size of a regular file that everybody may read; none for anything else.
std::optional<std::size_t> public_size(const UniqueFd& fd, const char* path) {
  if (!fd) return std::nullopt;
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) throw_errno("cannot read '{}'", path);
  if (!S_ISREG(status.st_mode) || (status.st_mode & S_IROTH) == 0) return std::nullopt;
  return static_cast<std::size_t>(status.st_size);
}

std::string accounts_in(const char* path, AccountKind kind) {
  const UniqueFd file = open_quietly(path);
  const auto size = public_size(file, path);
  if (!size || *size > kLargestCopy) return {};
  return system_accounts(read_up_to(file, *size, path), kind);
}

void add_file(HostRoot& root, const char* path, EtcUse use) {
  UniqueFd file = open_quietly(path, O_NOFOLLOW);
  if (!file && errno == ELOOP) {
    // A link into /usr, as /etc/os-release is one, stays a link.
    const auto target = link_target(path);
    if (target && target->find("usr/") != std::string::npos) {
      root.links.push_back({path, *target});
      return;
    }
    file = open_quietly(path);
  }
  const auto size = public_size(file, path);
  if (!size || *size > kLargestCopy) return;
  if (use == EtcUse::kRead && *size > kDearCopy) {
    root.trees.push_back({.path = path, .is_directory = false});
  } else {
    root.files.push_back({path, read_up_to(file, *size, path)});
  }
}

void add_tree(HostRoot& root, const char* path) {
  struct stat status {};
  if (::lstat(path, &status) == 0) {
    if (S_ISDIR(status.st_mode)) root.trees.push_back({.path = path});
  } else if (!means_absent(errno)) {
    throw_errno("cannot look at '{}'", path);
  }
}

/// The lines of `text`, one after the other.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
    return true;
  }

 private:
  std::string_view rest_;
};

/// A line of a passwd or group file, as far as both are the same.
struct Account {
  std::string_view line;
  std::string_view name;
  std::string_view id;
  std::string_view next;  // a user's group, or a group's members

  explicit Account(std::string_view text) : line(text) {
    name = cut(text);
    cut(text);  // the password
    id = cut(text);
    next = cut(text);
  }

  /// Whether the C library takes the line for an account: it passes over spaces and comments, sees
  /// a line up to its first NUL, and wants a user's group to be a number.
  [[nodiscard]] bool is(AccountKind kind) const {
    constexpr std::string_view kNoName = "# \t\v\f\r+-";
    const auto colons = std::count(line.begin(), line.end(), ':');
    return colons == (kind == AccountKind::kUser ? 6 : 3) && !name.empty() &&
           kNoName.find(name[0]) == std::string_view::npos &&
           line.find('\0') == std::string_view::npos &&
           (kind == AccountKind::kGroup || parse_unsigned(next, 0xffffffff));
  }

 private:
  static std::string_view cut(std::string_view& text) {
    const std::string_view field = text.substr(0, text.find(':'));
    text.remove_prefix(std::min(field.size() + 1, text.size()));
    return field;
  }
};

bool has_group(std::string_view text, std::uint32_t gid) {
  const std::string number = std::to_string(gid);
  std::string_view line;
  for (Lines lines(text); lines.next(line);) {
    const Account account(line);
    if (account.is(AccountKind::kGroup) && account.id == number) return true;
  }
  return false;
}

/// The accounts of `text`, with `added` for the account `name` and `id` at the end unless it is
/// there. What comes before and has that name or id is left out, so that it is the first of both;
/// and so are lines that are no account, which the C library could read as one.
std::string with_account(const std::string& text, AccountKind kind, const std::string& name,
                         std::uint32_t id, const std::string& added) {
  const std::string number = std::to_string(id);
  std::string kept;
  bool there = false;
  std::string_view line;
  for (Lines lines(text); lines.next(line);) {
    const Account account(line);
    if (!account.is(kind)) continue;
    there = there || (account.name == name && account.id == number);
    if (there || (account.name != name && account.id != number)) kept.append(line).append("\n");
  }
  return there ? kept : kept + added;
}

}  // namespace

HostRoot read_host_root(NameServers name_servers, EtcUse use) {
  HostRoot root;
  for (const char* place : kProgramPlaces) {
    if (auto target = link_target(place)) {
      root.links.push_back({place, std::move(*target)});
    } else {
      add_tree(root, place);
    }
  }
  for (const char* file : kEtcFiles) add_file(root, file, use);
  for (const char* tree : kEtcTrees) add_tree(root, tree);
  if (use == EtcUse::kWrite) {
    add_file(root, kLinkerSettings, use);
    add_tree(root, kLinkerSettingsTree);
  }
  root.links.push_back({"/etc/mtab", "/proc/self/mounts"});
  // Without a network there is nobody to ask: the resolver's default, the loopback, refuses at
  // once.
  if (name_servers == NameServers::kShown) add_file(root, "/etc/resolv.conf", use);
  root.passwd = accounts_in("/etc/passwd", AccountKind::kUser);
  root.group = accounts_in("/etc/group", AccountKind::kGroup);
  return root;
}

std::string read_up_to(const UniqueFd& fd, std::size_t expected, const char* path) {
  std::string text(expected, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(fd.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("cannot read '{}'", path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

std::string system_accounts(const std::string& text, AccountKind kind) {
  std::string kept;
  kept.reserve(text.size());
  std::string_view line;
  for (Lines lines(text); lines.next(line);) {
    const Account account(line);
    const auto number = parse_unsigned(account.id, 0xfffffffe);
    if (!account.is(kind) || !number || (*number >= 1000 && *number != 65534)) continue;
    // A group's members are people, too.
    if (kind == AccountKind::kGroup) {
      kept.append(account.name).append(":x:").append(account.id).append(":\n");
    } else {
      kept.append(line).append("\n");
    }
  }
  return kept;
}

std::vector<EtcFile> account_files(const std::string& passwd, const std::string& group,
                                   const User& user) {
  const std::string name = user.name;
  std::string users = with_account(
      passwd, AccountKind::kUser, name, user.uid,
      fmt::format("{}:x:{}:{}::{}:/bin/sh\n", name, user.uid, user.gid, user.home.native()));
  std::string groups = group;
  if (!has_group(group, user.gid)) {
    groups = with_account(group, AccountKind::kGroup, name, user.gid,
                          fmt::format("{}:x:{}:\n", name, user.gid));
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
