// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/socket.hpp"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <optional>

#include "kernel/netlink/mnl.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kUsualPiece = std::size_t{16} << 10;

UniqueFd open_socket(int protocol) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) throw_errno("cannot open a netlink socket");
  return fd;
}

/// Of an error's answer: the errno, and the kernel's words where there are some.
struct Answer {
  int error = 0;
  std::string words;
};

Answer read_answer(const nlmsghdr* header) {
  const auto* error = static_cast<const nlmsgerr*>(mnl().nlmsg_get_payload(header));
  Answer answer{.error = -error->error, .words = {}};
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return answer;
  std::size_t skip = sizeof(nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  const auto keep = [](const nlattr* attribute, void* words) {
    if (mnl().attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
      *static_cast<std::string*>(words) = mnl().attr_get_str(attribute);
    }
    return MNL_CB_OK;
  };
  mnl().attr_parse(header, static_cast<unsigned>(NLMSG_ALIGN(skip)), keep, &answer.words);
  return answer;
}

}  // namespace

NetlinkMessages::NetlinkMessages() {
  bytes_.reserve(2048);
  refusals_.reserve(16);
}

void NetlinkMessages::append(const nlmsghdr* message, Attempt attempt) {
  refusals_.push_back({std::move(attempt)});
  const std::size_t start = bytes_.size();
  bytes_.resize(start + NLMSG_ALIGN(message->nlmsg_len));
  std::memcpy(bytes_.data() + start, message, message->nlmsg_len);
  const auto number = static_cast<std::uint32_t>(refusals_.size());
  std::memcpy(bytes_.data() + start + offsetof(nlmsghdr, nlmsg_seq), &number, sizeof number);
}

void NetlinkMessages::excuse_last(const Excuses& errors) { refusals_.back().excused = errors; }

void NetlinkMessages::clear() {
  bytes_.clear();
  refusals_.clear();
}

NetlinkSocket::NetlinkSocket(int protocol) : fd_(open_socket(protocol)) { prepare(); }

NetlinkSocket::NetlinkSocket(int protocol, const Namespace& network)
    : fd_(network.run([protocol] { return open_socket(protocol); })) {
  prepare();
}

NetlinkSocket::NetlinkSocket(UniqueFd socket) : fd_(std::move(socket)) { prepare(); }

void NetlinkSocket::prepare() {
  mnl();  // before anything is sent
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  // Of thousands of errors only the first matters, and that one fits.
  ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
  make_room(kUsualPiece);
}

void NetlinkSocket::make_room(std::size_t size) {
  if (size <= room_) return;
  buffer_.reset(new char[size]);
  room_ = size;
}

void NetlinkSocket::send_bytes(std::span<const char> bytes, std::span<const char> more,
                               const Attempt& attempt) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto piece = [](std::span<const char> part) -> iovec {
    return {.iov_base = const_cast<char*>(part.data()), .iov_len = part.size()};
  };
  std::array<iovec, 2> pieces = {piece(bytes), piece(more)};
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof kernel;
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  while (::sendmsg(fd_.get(), &message, 0) < 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EMSGSIZE) throw SystemError(error, attempt());
    // What belongs together goes in one piece, however large.
    const int room = static_cast<int>(bytes.size() + more.size()) + (1 << 16);
    int now = 0;
    socklen_t length = sizeof now;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &now, &length);
    if (now / 2 >= room ||
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) {
      throw SystemError(EMSGSIZE, attempt());
    }
  }
}

/// The size of what has come from the kernel; 0 for nothing, with MSG_DONTWAIT.
std::size_t NetlinkSocket::receive(int flags, const Attempt& attempt) {
  const auto take = [&](char* bytes, std::size_t room, int how, sockaddr_nl& sender) {
    for (;;) {
      socklen_t length = sizeof sender;
      const ssize_t size = ::recvfrom(fd_.get(), bytes, room, flags | how,
                                      reinterpret_cast<sockaddr*>(&sender), &length);
      if (size >= 0) return static_cast<std::size_t>(size);
      if (errno == EAGAIN) return std::size_t{0};
      if (errno != EINTR) throw SystemError(errno, attempt());
    }
  };
  for (;;) {
    sockaddr_nl sender{};
    // A single answer can be longer than the pieces that the kernel tells a list in.
    const std::size_t size = take(nullptr, 0, MSG_PEEK | MSG_TRUNC, sender);
    if (size == 0) return 0;
    make_room(size);
    const std::size_t taken = take(buffer_.get(), room_, 0, sender);
    if (sender.nl_pid == 0) return taken;
  }
}

bool NetlinkSocket::send(const NetlinkMessages& messages, std::span<const char> mark) {
  if (messages.empty()) return true;
  const auto& all = messages.refusals_;
  send_bytes(messages.bytes_, mark, all.front().attempt);
  // The kernel works on them within send(2): the answers are there.
  bool complete = true;
  std::optional<SystemError> refused;
  while (const std::size_t size = receive(MSG_DONTWAIT, all.front().attempt)) {
    int left = static_cast<int>(size);
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    for (; mnl().nlmsg_ok(header, left); header = mnl().nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR || refused) continue;
      const Answer answer = read_answer(header);
      const std::size_t number = header->nlmsg_seq;
      const bool known = number > 0 && number <= all.size();
      const auto& [attempt, excused] = known ? all[number - 1] : all.front();
      if (answer.error == 0) continue;
      complete = false;
      if (known && (excused == kAnyError || std::ranges::count(excused, answer.error) > 0))
        continue;
      refused.emplace(answer.error, attempt(), answer.words);
    }
  }
  if (refused) throw SystemError(*refused);
  return complete;
}

std::uint64_t namespace_cookie(const UniqueFd& socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0) {
    throw_errno("cannot identify the network namespace");
  }
  return cookie;
}

std::optional<int> NetlinkSocket::link_index(const std::string& name) const {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return std::nullopt;
  name.copy(request.ifr_name, name.size());
  if (::ioctl(fd_.get(), SIOCGIFINDEX, &request) == 0) return request.ifr_ifindex;
  if (errno != ENODEV) throw_errno("cannot find the link '{}'", printable(name));
  return std::nullopt;
}

void NetlinkSocket::request(const nlmsghdr* message, const Attempt& attempt,
                            const std::function<void(const nlmsghdr*)>& each) {
  const bool dumps = (message->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const bool acknowledged = (message->nlmsg_flags & NLM_F_ACK) != 0;
  send_bytes({reinterpret_cast<const char*>(message), message->nlmsg_len}, {}, attempt);
  for (;;) {
    int left = static_cast<int>(receive(0, attempt));
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    for (; mnl().nlmsg_ok(header, left); header = mnl().nlmsg_next(header, &left)) {
      if (header->nlmsg_type == NLMSG_DONE) return;
      if (header->nlmsg_type == NLMSG_ERROR) {
        const Answer answer = read_answer(header);
        if (answer.error != 0) throw SystemError(answer.error, attempt(), answer.words);
        return;
      }
      each(header);
      if (!dumps && !acknowledged) return;
    }
  }
}

}  // namespace sbx::detail
