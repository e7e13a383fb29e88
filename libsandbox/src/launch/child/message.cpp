// SPDX-License-Identifier: Apache-2.0
#include "launch/child/message.hpp"

#include <errno.h>
#include <sys/socket.h>

#include "sys/raw.hpp"

namespace sbx::child {
namespace {

template <std::size_t kCount>
struct ControlBuffer {
  alignas(cmsghdr) char bytes[CMSG_SPACE(kCount * sizeof(int))];
};

long send(int socket, void* data, std::size_t size, int fd) noexcept {
  iovec part{.iov_base = data, .iov_len = size};
  ControlBuffer<1> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    *reinterpret_cast<int*>(CMSG_DATA(rights)) = fd;
  }
  return raw::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Message::~Message() {
  for (std::size_t i = 0; i < fd_count; ++i) {
    if (fds[i] >= 0) raw::close(fds[i]);
  }
}

int Message::take(std::size_t index) noexcept {
  const int fd = fds[index];
  fds[index] = -1;
  return fd;
}

Message::Outcome Message::receive(int socket) noexcept {
  iovec part{.iov_base = &request, .iov_len = sizeof request};
  ControlBuffer<kMostDescriptors> control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  const long size = raw::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return size == -EAGAIN ? Outcome::kNothing : Outcome::kEnd;

  // Also when the message is wrong, or so empty that it looks like a hang-up: what is not taken out
  // is closed.
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
    const auto* received = reinterpret_cast<const int*>(CMSG_DATA(rights));
    fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fd_count; ++i) fds[i] = received[i];
  }
  const bool whole = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  const bool good = whole && size == sizeof request && request.magic == kProtocolMagic;
  return good ? Outcome::kRequest : Outcome::kEnd;
}

bool send_event(int socket, const Event& event, int fd) noexcept {
  if (socket < 0) return true;
  Event copy = event;
  return send(socket, &copy, sizeof copy, fd) >= 0;
}

long send_descriptor(int socket, int fd) noexcept {
  char byte = 0;
  return send(socket, &byte, sizeof byte, fd);
}

}  // namespace sbx::child
