// SPDX-License-Identifier: Apache-2.0
#include "launch/control.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "launch/failure.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

/// The descriptor that came with a message, when it was one alone. Others are closed: the room for
/// one is, by its alignment, room for two.
UniqueFd take_descriptor(msghdr& message) {
  UniqueFd taken;
  std::size_t count = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t offset = CMSG_LEN(0); offset < part->cmsg_len; offset += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(part) + offset, sizeof fd);
      taken.reset(fd);
      ++count;
    }
  }
  if (count > 1) taken.reset();
  return taken;
}

/// What recvmsg(2) has brought: its result, and the descriptor that came along.
struct Message {
  ssize_t size;
  bool whole;
  UniqueFd fd;
};

Message receive(int socket, void* data, std::size_t size, int flags) {
  iovec part{.iov_base = data, .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return {.size = received, .whole = false, .fd = {}};
  return {.size = received,
          .whole = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0,
          .fd = take_descriptor(header)};
}

}  // namespace

SocketPair make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    throw_errno("cannot make a socket pair");
  }
  return {.ours = UniqueFd(ends[0]), .theirs = UniqueFd(ends[1])};
}

void send_request(int socket, const child::Request& request, const std::vector<int>& fds) {
  child::Request copy = request;
  iovec part{.iov_base = &copy, .iov_len = sizeof copy};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) throw_errno("cannot ask the sandbox's init");
}

void send_signal(int socket, int signal, SignalTarget target) {
  const bool group = target == SignalTarget::kProcessGroup;
  try {
    send_request(socket, {.kind = child::RequestKind::kSignal,
                          .value = static_cast<std::uint32_t>(signal),
                          .flags = group ? child::Request::kGroup : 0U});
  } catch (const SystemError& error) {
    const int reason = error.code().value();
    if (reason != EPIPE && reason != ECONNRESET) throw;
  }
}

bool wait_readable(std::initializer_list<int> fds, std::chrono::milliseconds timeout) {
  std::array<pollfd, 4> watched{};
  std::size_t count = 0;
  for (const int fd : fds) watched.at(count++) = {.fd = fd, .events = POLLIN, .revents = 0};
  const Deadline deadline(timeout);
  for (;;) {
    const int ready = ::poll(watched.data(), count, deadline.for_poll());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw_errno("cannot wait for the sandbox");
    if (ready == 0 && deadline.is_over()) return false;
  }
}

std::optional<ReceivedEvent> receive_event(int socket, std::chrono::milliseconds timeout) {
  if (!wait_readable({socket}, timeout)) return std::nullopt;
  ReceivedEvent received;
  Message message = receive(socket, &received.event, sizeof received.event, 0);
  if (message.size < 0) throw_errno("cannot hear the sandbox's init");
  if (message.size == 0) throw SystemError(ECONNRESET, "cannot hear the sandbox's init");
  if (!message.whole || message.size != sizeof received.event ||
      received.event.magic != child::kProtocolMagic) {
    throw SystemError(EBADMSG, "cannot understand the sandbox's init");
  }
  received.fd = std::move(message.fd);
  return received;
}

UniqueFd receive_terminal(int socket) {
  char byte = 0;
  Message message = receive(socket, &byte, sizeof byte, MSG_DONTWAIT);
  if (message.size < 0) throw_errno("cannot receive the terminal");
  if (!message.fd) throw SystemError(EBADMSG, "cannot receive the terminal");
  return std::move(message.fd);
}

ReceivedEvent expect(child::EventKind kind, int socket, const Command& command) {
  try {
    ReceivedEvent received = receive_event(socket, Deadline::kForEver).value();
    if (received.event.kind == kind) return received;
    if (received.event.kind != child::EventKind::kFailed) {
      throw SystemError(EBADMSG, "cannot understand the sandbox's init");
    }
    throw_failure(received.event.failure, {.plan = nullptr,
                                           .program = command.argv.empty() ? "" : command.argv[0],
                                           .workdir = command.workdir.native()});
  } catch (const ExecError&) {
    throw;
  } catch (const SystemError& error) {
    if (error.code().value() != ECONNRESET) throw;
    throw SystemError(ECONNRESET, "cannot start a program in the sandbox",
                      "its init has ended or refuses the request");
  }
}

}  // namespace sbx::detail
