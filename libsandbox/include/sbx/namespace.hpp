// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <utility>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"
#include "sbx/id_map.hpp"

namespace sbx {

/// The kinds of namespaces(7); the values are the CLONE_NEW* flags.
enum class NamespaceKind : std::uint32_t {
  kTime = 0x00000080,
  kMount = 0x00020000,
  kCgroup = 0x02000000,
  kUts = 0x04000000,
  kIpc = 0x08000000,
  kUser = 0x10000000,
  kPid = 0x20000000,
  kNet = 0x40000000,
};

/// The name below /proc/PID/ns: "mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time".
[[nodiscard]] SBX_API std::string_view to_string(NamespaceKind kind);

/// A namespace held alive by a descriptor: it lasts as long as this object, a process inside it, or
/// a bind mount of it. Every member that can fail throws SystemError and leaves the object as it
/// was.
class SBX_API Namespace {
 public:
  /// A new namespace of `kind`, owned by the caller's user namespace; the caller stays where it is.
  /// Needs CAP_SYS_ADMIN. A new user namespace has no ids until maps are written: see create_user.
  /// Throws std::invalid_argument for kPid: a pid namespace lives only as long as its process 1, so
  /// there is none without a process. Sandbox makes both.
  static Namespace create(NamespaceKind kind);

  /// A new user namespace with these maps. Needs no privilege for the caller's own single id.
  static Namespace create_user(const IdMap& uids, const IdMap& gids);

  /// That of the calling thread.
  static Namespace current(NamespaceKind kind);

  /// That of process `pid`, in the caller's view of /proc. Needs the right to ptrace(2) it.
  static Namespace of(int pid, NamespaceKind kind);

  /// The one at `path`, such as /run/netns/blue or /proc/42/ns/net. EINVAL when the file is no
  /// namespace of that kind.
  static Namespace open(NamespaceKind kind, const std::filesystem::path& path);

  /// Moves the calling thread, and only it, into the namespace for good. For a pid
  /// namespace it is the thread's future children that go in. Entering a user or time namespace
  /// works in a program of one thread only; entering a mount namespace gives the thread a working
  /// directory of its own. See setns(2).
  void enter() const;

  /// Runs `body` inside the namespace, on a thread of its own, and returns what it returns. What it
  /// throws reaches the caller. Not for user and time namespaces, which a thread cannot enter
  /// alone.
  template <std::invocable F>
  auto run(F body) const {
    auto done = std::async(std::launch::async, [&] {
      enter();
      return body();
    });
    return done.get();
  }

  [[nodiscard]] NamespaceKind kind() const noexcept { return kind_; }

  /// The descriptor, still owned.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Equal for two handles of one namespace, and for no others while both live.
  [[nodiscard]] std::uint64_t inode() const;

  /// Of a user namespace: the user, in the caller's own, whose processes have every capability in
  /// it. See ioctl_ns(2), NS_GET_OWNER_UID.
  [[nodiscard]] std::uint32_t owner() const;

 private:
  Namespace(NamespaceKind kind, UniqueFd fd, std::string name) noexcept
      : kind_(kind), fd_(std::move(fd)), name_(std::move(name)) {}

  NamespaceKind kind_;
  UniqueFd fd_;
  std::string name_;  // for messages: where it came from
};

}  // namespace sbx
