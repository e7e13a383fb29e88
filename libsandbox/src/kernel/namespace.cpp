// SPDX-License-Identifier: Apache-2.0
#include "sbx/namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "kernel/namespace_cure.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"
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

/// A process that does nothing but stay in a user namespace made for it, so that others can write
/// the namespace's maps and open it. A thread cannot make one: the kernel refuses that in a process
/// that has others. It shares the caller's memory, so that it costs the same whatever his size, and
/// sends no SIGCHLD, so that he and his wait(2) do not notice it. Ends with this object.
class UserNamespaceHolder {
 public:
  UserNamespaceHolder();
  UserNamespaceHolder(const UserNamespaceHolder&) = delete;
  UserNamespaceHolder& operator=(const UserNamespaceHolder&) = delete;
  UserNamespaceHolder(UserNamespaceHolder&&) = delete;
  UserNamespaceHolder& operator=(UserNamespaceHolder&&) = delete;
  ~UserNamespaceHolder();

  [[nodiscard]] int pid() const noexcept { return pid_; }

 private:
  static constexpr std::size_t kStackSize = 16384;

  static void stay(void* self) noexcept;
  [[nodiscard]] long clone() noexcept;

  std::unique_ptr<std::byte[]> stack_;
  detail::Pipe life_;  // nothing is ever written, but it ends with the caller, however he dies
  UniqueFd pidfd_;
  int pid_ = -1;
  char nothing_ = 0;
};

UserNamespaceHolder::UserNamespaceHolder() : stack_(new std::byte[kStackSize]) {
  const long result = clone();
  if (result < 0) refuse_creation(NamespaceKind::kUser, static_cast<int>(-result));
  pid_ = static_cast<int>(result);
}

long UserNamespaceHolder::clone() noexcept {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = static_cast<std::uint64_t>(raw::address(&pidfd));
  args.stack = static_cast<std::uint64_t>(raw::address(stack_.get()));
  args.stack_size = kStackSize;

  // The child keeps the mask, so that no signal of its process group wakes it; SIGKILL still does.
  const std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  raw::sigprocmask(SIG_SETMASK, &all, &before);
  const long result = raw::clone3(&args, sizeof args, stay, this);
  raw::sigprocmask(SIG_SETMASK, &before, nullptr);

  if (result > 0) pidfd_.reset(pidfd);
  return result;
}

// Runs beside the caller's threads, in their memory and on the thread-local storage of one of them:
// nothing but raw calls.
void UserNamespaceHolder::stay(void* self) noexcept {
  auto& holder = *static_cast<UserNamespaceHolder*>(self);
  // Its copies of the caller's descriptors would keep files and pipes open, life_.write among them.
  const auto kept = static_cast<unsigned>(holder.life_.read.get());
  if (kept > 0) raw::close_range(0, kept - 1, 0);
  raw::close_range(kept + 1, ~0U, 0);
  raw::read(static_cast<int>(kept), &holder.nothing_, 1);
  raw::exit_group(0);
}

UserNamespaceHolder::~UserNamespaceHolder() {
  raw::kill_process(pidfd_.get(), pid_);
  while (raw::waitid(P_PIDFD, pidfd_.get(), nullptr, WEXITED | __WALL, nullptr) == -EINTR) {
  }
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
  const UserNamespaceHolder holder;
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
