// SPDX-License-Identifier: Apache-2.0
#include "sbx/namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "kernel/idle_process.hpp"
#include "kernel/namespace_cure.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx {

using detail::throw_errno;

namespace {

constexpr const char* kMadeHere = "made by this process";

/// Puts `fd` to the test; EINVAL unless it is a namespace of `kind`.
void require_kind(const UniqueFd& fd, NamespaceKind kind, const std::string& shown) {
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type == static_cast<int>(kind)) return;
  throw SystemError(EINVAL, fmt::format("cannot use {} as a {} namespace", shown, to_string(kind)));
}

UniqueFd open_namespace(NamespaceKind kind, const std::string& path, const std::string& shown) {
  // O_NONBLOCK lest a FIFO by that name make the caller wait.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) throw_errno("cannot open the {} namespace {}", to_string(kind), shown);
  require_kind(fd, kind, shown);
  return fd;
}

/// Where to find the namespace that unshare(2) has just made for the calling thread.
std::string path_after_unshare(NamespaceKind kind) {
  const char* const suffix = kind == NamespaceKind::kTime ? "_for_children" : "";
  return fmt::format("/proc/thread-self/ns/{}{}", to_string(kind), suffix);
}

[[noreturn]] void refuse_creation(NamespaceKind kind, int errno_value) {
  std::string cure;
  if (kind == NamespaceKind::kUser) {
    cure = detail::user_namespace_cure(errno_value);
  } else if (errno_value == ENOSPC) {
    cure = fmt::format("raise the sysctl user.max_{}_namespaces", to_string(kind));
  }
  throw SystemError(errno_value, fmt::format("cannot create a {} namespace", to_string(kind)),
                    cure);
}

/// Why the kernel may have refused setns(2), where its own word for that misleads.
std::string entry_cure(NamespaceKind kind, int errno_value) {
  if (kind == NamespaceKind::kTime && errno_value == EUSERS) {
    return "a process of more than one thread cannot enter a time namespace";
  }
  if (kind == NamespaceKind::kUser && errno_value == EINVAL) {
    return "a process of more than one thread, or one that is in it, cannot enter a user namespace";
  }
  return {};
}

}  // namespace

std::string_view to_string(NamespaceKind kind) {
  switch (kind) {
    case NamespaceKind::kTime:
      return "time";
    case NamespaceKind::kMount:
      return "mnt";
    case NamespaceKind::kCgroup:
      return "cgroup";
    case NamespaceKind::kUts:
      return "uts";
    case NamespaceKind::kIpc:
      return "ipc";
    case NamespaceKind::kUser:
      return "user";
    case NamespaceKind::kPid:
      return "pid";
    case NamespaceKind::kNet:
      return "net";
  }
  throw std::invalid_argument(
      fmt::format("unknown kind of namespace {:#x}", static_cast<std::uint32_t>(kind)));
}

Namespace Namespace::create(NamespaceKind kind) {
  if (kind == NamespaceKind::kUser) return create_user({}, {});
  if (kind == NamespaceKind::kPid) {
    throw std::invalid_argument(
        "cannot create a pid namespace by itself: it lives only as long as its process 1; use "
        "Sandbox");
  }
  // unshare(2) moves the thread that calls it, so a thread made for the purpose goes in, opens the
  // door and ends; the descriptor keeps the namespace alive.
  auto made = std::async(std::launch::async, [kind] {
    if (::unshare(static_cast<int>(kind)) < 0) refuse_creation(kind, errno);
    return Namespace(kind, open_namespace(kind, path_after_unshare(kind), kMadeHere), kMadeHere);
  });
  return made.get();
}

Namespace Namespace::create_user(const IdMap& uids, const IdMap& gids) {
  const detail::IdleProcess holder(CLONE_NEWUSER);
  if (holder.error() != 0) refuse_creation(NamespaceKind::kUser, holder.error());
  write_id_maps(holder.pid(), uids, gids);
  const std::string path = fmt::format("/proc/{}/ns/user", holder.pid());
  return Namespace(NamespaceKind::kUser, open_namespace(NamespaceKind::kUser, path, kMadeHere),
                   kMadeHere);
}

Namespace Namespace::current(NamespaceKind kind) {
  return open(kind, fmt::format("/proc/thread-self/ns/{}", to_string(kind)));
}

Namespace Namespace::of(int pid, NamespaceKind kind) {
  return open(kind, fmt::format("/proc/{}/ns/{}", pid, to_string(kind)));
}

Namespace Namespace::open(NamespaceKind kind, const std::filesystem::path& path) {
  std::string shown = fmt::format("'{}'", detail::printable(path.native()));
  UniqueFd fd = open_namespace(kind, path.native(), shown);
  return Namespace(kind, std::move(fd), std::move(shown));
}

void Namespace::enter() const {
  // The threads of a process share a root and a working directory, which the entry changes.
  if (kind_ == NamespaceKind::kMount && ::unshare(CLONE_FS) < 0) {
    throw_errno("cannot detach the working directory from that of other threads");
  }
  if (::setns(fd_.get(), static_cast<int>(kind_)) < 0) {
    const int errno_value = errno;
    throw SystemError(errno_value,
                      fmt::format("cannot enter the {} namespace {}", to_string(kind_), name_),
                      entry_cure(kind_, errno_value));
  }
}

std::uint64_t Namespace::inode() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) < 0) {
    throw_errno("cannot identify the {} namespace {}", to_string(kind_), name_);
  }
  return status.st_ino;
}

std::uint32_t Namespace::owner() const {
  uid_t uid = 0;
  if (::ioctl(fd_.get(), NS_GET_OWNER_UID, &uid) < 0) {
    throw_errno("cannot find the owner of the {} namespace {}", to_string(kind_), name_);
  }
  return uid;
}

}  // namespace sbx
