// SPDX-License-Identifier: Apache-2.0
#include "launch/identity.hpp"

#include <linux/capability.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>
#include <vector>

#include "sys/error.hpp"
#include "sys/proc_file.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

constexpr std::uint32_t kSandboxUser = 1000;
constexpr std::uint32_t kRangeSize = 65536;

// Ranges for root's sandboxes lie where neither distributions nor useradd(8)'s subordinate ids do,
// below the limit of signed 32-bit ids.
constexpr std::uint32_t kFirstRange = 0x1000;
constexpr std::uint32_t kLastRange = 0x6fff;

/// Whether `map` of the caller's user namespace has all ids of which root's sandboxes get some.
bool has_ranges(const char* map) {
  constexpr std::uint64_t kFirst = std::uint64_t{kFirstRange} << 16;
  constexpr std::uint64_t kEnd = std::uint64_t{kLastRange + 1} << 16;
  std::istringstream ranges(read_file(map));
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (ranges >> inside >> outside >> count) {
    if (inside <= kFirst && inside + count >= kEnd) return true;
  }
  return false;
}

/// The first user namespace has all ids; that of a container, or of unshare(1), may have one.
bool has_ranges() {
  constexpr ino_t kFirstNamespace = 0xeffffffd;  // PROC_USER_INIT_INO
  struct stat own {};
  if (::stat("/proc/self/ns/user", &own) == 0 && own.st_ino == kFirstNamespace) return true;
  return has_ranges("/proc/self/uid_map") && has_ranges("/proc/self/gid_map");
}

/// By capget(2): to read all sets from /proc takes as long as thirty other calls of a start.
bool caller_is_privileged() {
  if (::geteuid() != 0) return false;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  check(raw::capget(&header, sets), "cannot read the caller's capabilities");
  return (sets[0].effective >> CAP_SYS_ADMIN & 1) != 0;
}

/// A range at random: two sandboxes then share no limit that the kernel counts by user.
IdRange random_range() {
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    throw_errno("cannot get random bytes");
  const std::uint32_t slot = kFirstRange + number % (kLastRange - kFirstRange + 1);
  return {.inside = 0, .outside = slot << 16, .count = kRangeSize};
}

User default_user(const Spec& spec, bool privileged) {
  const UserNamespace& given = spec.user_namespace;
  if (given.mode == UserNamespace::Mode::kMap && !given.uids.empty() && !given.gids.empty()) {
    const std::uint32_t usual = privileged ? kSandboxUser : ::geteuid();
    const bool covered = map_to_outside(given.uids, usual) && map_to_outside(given.gids, usual);
    return {.uid = covered ? usual : given.uids[0].inside,
            .gid = covered ? usual : given.gids[0].inside,
            .name = {},
            .home = {},
            .groups = {}};
  }
  if (!privileged || spec.user_namespace.mode == UserNamespace::Mode::kHost) {
    return {.uid = ::geteuid(), .gid = ::getegid(), .name = {}, .home = {}, .groups = {}};
  }
  return {.uid = kSandboxUser, .gid = kSandboxUser, .name = "sandbox", .home = {}, .groups = {}};
}

struct Account {
  std::string name = "sandbox";
  std::string home = "/home/sandbox";
};

Account account_of(std::uint32_t uid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return {.name = found->pw_name, .home = found->pw_dir};
}

/// Maps for a caller who may not choose: his own id, and for a whole root his subordinate ids, too.
void map_ordinary(const Spec& spec, Identity& identity) {
  const std::uint32_t uid = ::geteuid();
  const std::uint32_t gid = ::getegid();
  identity.uids = {{.inside = identity.user.uid, .outside = uid, .count = 1}};
  identity.gids = {{.inside = identity.user.gid, .outside = gid, .count = 1}};
  if (!spec.user || identity.user.uid != 0 || identity.user.gid != 0) return;
  if (::access("/usr/bin/newuidmap", X_OK) != 0) return;

  const std::string name = account_of(uid).name;
  const auto uids = subordinate_ids("/etc/subuid", name, uid);
  const auto gids = subordinate_ids("/etc/subgid", name, uid);
  if (uids.empty() || gids.empty()) return;
  identity.uids.push_back({.inside = 1, .outside = uids[0].outside, .count = uids[0].count});
  identity.gids.push_back({.inside = 1, .outside = gids[0].outside, .count = gids[0].count});
}

void choose_maps(const Spec& spec, Identity& identity) {
  switch (spec.user_namespace.mode) {
    case UserNamespace::Mode::kHost:
      if (!identity.privileged) {
        throw std::invalid_argument("only root can run a sandbox with the host's ids");
      }
      identity.user_namespace = false;
      return;
    case UserNamespace::Mode::kMap:
      identity.uids = spec.user_namespace.uids;
      identity.gids = spec.user_namespace.gids;
      if (identity.uids.empty() || identity.gids.empty()) {
        throw std::invalid_argument("an id map needs at least one range of users and of groups");
      }
      return;
    case UserNamespace::Mode::kAuto:
      if (!identity.privileged) return map_ordinary(spec, identity);
      identity.uids = {random_range()};
      identity.gids = identity.uids;
      // pasta(1) gives its capabilities up, and connects what belongs to its user.
      if (spec.network.mode != Network::Mode::kUser)
        identity.namespace_owner = identity.uids[0].outside;
      return;
  }
}

void require_mapped(const Identity& identity) {
  if (!identity.user_namespace) return;
  if (!map_to_outside(identity.uids, identity.user.uid)) {
    throw std::invalid_argument(
        fmt::format("user {} is not covered by the sandbox's id map", identity.user.uid));
  }
  if (!map_to_outside(identity.gids, identity.user.gid)) {
    throw std::invalid_argument(
        fmt::format("group {} is not covered by the sandbox's id map", identity.user.gid));
  }
}

}  // namespace

bool is_owner_of_sandboxes(std::uint32_t uid) {
  const std::uint32_t slot = uid >> 16;
  return slot >= kFirstRange && slot <= kLastRange && uid % kRangeSize == 0;
}

User complete_user(User user) {
  if (user.uid == 0) {
    if (user.name.empty()) user.name = "root";
    if (user.home.empty()) user.home = "/root";
  }
  const bool own = user.uid == ::geteuid();
  if (own && (user.name.empty() || user.home.empty())) {
    const Account account = account_of(user.uid);
    if (user.name.empty()) user.name = account.name;
    if (user.home.empty()) user.home = account.home;
  }
  if (user.name.empty()) user.name = "sandbox";
  if (user.home.empty()) user.home = std::filesystem::path("/home") / user.name;
  return user;
}

Identity resolve_identity(const Spec& spec) {
  Identity identity{.privileged = caller_is_privileged()};
  // Root who has fewer ids than his sandbox would get is served as an ordinary user is.
  const bool chosen_here = spec.user_namespace.mode == UserNamespace::Mode::kAuto;
  if (identity.privileged && chosen_here && !has_ranges()) identity.privileged = false;
  identity.user = complete_user(spec.user ? *spec.user : default_user(spec, identity.privileged));
  choose_maps(spec, identity);
  require_mapped(identity);
  identity.maps_root = !identity.user_namespace || (map_to_outside(identity.uids, 0).has_value() &&
                                                    map_to_outside(identity.gids, 0).has_value());
  // The kernel denies setgroups(2) to a namespace whose maps an unprivileged process wrote.
  identity.may_set_groups = identity.privileged || identity.uids.size() > 1;
  const bool own_root = identity.user_namespace && identity.user.uid == 0;
  identity.capabilities =
      spec.capabilities.value_or(own_root ? CapabilitySet::sandbox_root() : CapabilitySet());
  return identity;
}

}  // namespace sbx::detail
