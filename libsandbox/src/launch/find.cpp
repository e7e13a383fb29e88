// SPDX-License-Identifier: Apache-2.0
#include "launch/find.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/control.hpp"
#include "launch/identity.hpp"
#include "sbx/namespace.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"
#include "sys/socket_address.hpp"

namespace sbx::detail {
namespace {

constexpr std::chrono::milliseconds kPatience{5000};
constexpr std::size_t kLargestPolicy = std::size_t{16} << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const char* reason) {
  throw SystemError(
      EPERM, fmt::format("cannot enter the sandbox at '{}'", printable(path.native())), reason);
}

/// The folder of the socket, once it is certain that nobody else could have put the socket there.
UniqueFd open_own_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  UniqueFd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw_errno("cannot enter the sandbox at '{}'", printable(path.native()));
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0)
    throw_errno("cannot look at '{}'", printable(folder.native()));
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    refuse(path, "others could have put it there");
  }
  return fd;
}

UniqueFd connect_to(int folder, const std::filesystem::path& path) {
  struct stat status {};
  const std::string name = path.filename().native();
  if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
    throw_errno("cannot enter the sandbox at '{}'", printable(path.native()));
  }
  if (!S_ISSOCK(status.st_mode) || status.st_uid != ::geteuid())
    refuse(path, "it is no socket of the caller's");
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("cannot make a socket");
  const auto address = address_in(folder, name);
  if (!address) {
    throw SystemError(ENAMETOOLONG,
                      fmt::format("cannot enter the sandbox at '{}'", printable(path.native())));
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0) {
    throw_errno("cannot enter the sandbox at '{}'", printable(path.native()));
  }
  return socket;
}

/// The process that listens must be one of a sandbox that the caller made.
void require_own(int pid, const std::filesystem::path& path) {
  const Namespace theirs = Namespace::of(pid, NamespaceKind::kUser);
  if (theirs.inode() == Namespace::current(NamespaceKind::kUser).inode()) {
    // A sandbox with the host's ids: only root makes these, and only root listens for root.
    if (::geteuid() != 0) refuse(path, "its init is not in a sandbox");
    return;
  }
  const std::uint32_t owner = theirs.owner();
  const bool roots = ::geteuid() == 0 && is_owner_of_sandboxes(owner);
  if (owner != ::geteuid() && !roots) refuse(path, "its init belongs to somebody else");
}

Occupant read_policy(const UniqueFd& file, const std::filesystem::path& path) {
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0 || status.st_size < off_t{sizeof(child::Program)} ||
      static_cast<std::size_t>(status.st_size) > kLargestPolicy) {
    refuse(path, "its init does not say who lives there");
  }
  std::vector<std::uint64_t> words((static_cast<std::size_t>(status.st_size) + 7) / 8);
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto* program = reinterpret_cast<const child::Program*>(words.data());
  if (::pread(file.get(), words.data(), size, 0) != status.st_size ||
      !child::is_whole(program, size)) {
    refuse(path, "its init does not say who lives there");
  }
  Occupant occupant{.uid = program->uid, .gid = program->gid, .groups = {}, .home = {}};
  const auto* groups = child::at<const std::uint32_t>(program, program->groups.offset);
  occupant.groups.assign(groups, groups + program->groups.count);
  if (program->home != 0) occupant.home = child::at<const char>(program, program->home);
  return occupant;
}

}  // namespace

Found find_init(const std::filesystem::path& path) {
  Found found;
  const UniqueFd folder = open_own_folder(path);
  found.control = connect_to(folder.get(), path);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(found.control.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    throw_errno("cannot find who listens at '{}'", printable(path.native()));
  }
  found.pid = peer.pid;
  found.pidfd.reset(static_cast<int>(check(raw::pidfd_open(peer.pid, 0),
                                           "cannot find the init of the sandbox at '{}'",
                                           printable(path.native()))));

  // Its answer comes after the descriptor: the pid was its all the time.
  send_request(found.control.get(), {.kind = child::RequestKind::kHello});
  const auto answer = receive_event(found.control.get(), kPatience);
  if (!answer || answer->event.kind != child::EventKind::kHello) {
    refuse(path, "its init does not answer");
  }
  require_own(peer.pid, path);
  found.occupant = read_policy(answer->fd, path);
  return found;
}

}  // namespace sbx::detail
