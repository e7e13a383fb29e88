// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/socket.hpp"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <exception>
#include <optional>

#include "kernel/netlink/mnl.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kReceiveSize = std::size_t{64} << 10;

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

[[noreturn]] void refuse(const Answer& answer, const std::string& attempt) {
  throw SystemError(answer.error, attempt, answer.words);
}

}  // namespace

void NetlinkMessages::append(const nlmsghdr* message, std::string attempt) {
  starts_.push_back(bytes_.size());
  attempts_.push_back(std::move(attempt));
  const std::size_t start = bytes_.size();
  bytes_.resize(start + NLMSG_ALIGN(message->nlmsg_len));
  std::memcpy(bytes_.data() + start, message, message->nlmsg_len);
  const auto number = static_cast<std::uint32_t>(starts_.size());
  std::memcpy(bytes_.data() + start + offsetof(nlmsghdr, nlmsg_seq), &number, sizeof number);
}

void NetlinkMessages::clear() {
  bytes_.clear();
  starts_.clear();
  attempts_.clear();
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
  buffer_.reset(new char[kReceiveSize]);
}

void NetlinkSocket::send_bytes(const char* bytes, std::size_t size, const std::string& attempt) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto* address = reinterpret_cast<const sockaddr*>(&kernel);
  while (::sendto(fd_.get(), bytes, size, 0, address, sizeof kernel) < 0) {
    if (errno == EINTR) continue;
    if (errno != EMSGSIZE) throw_errno("{}", attempt);
    // What belongs together goes in one piece, however large.
    const int room = static_cast<int>(size) + (1 << 16);
    int now = 0;
    socklen_t length = sizeof now;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &now, &length);
    if (now / 2 >= room ||
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) {
      throw SystemError(EMSGSIZE, attempt);
    }
  }
}

/// The size of what has come from the kernel; 0 for nothing, with MSG_DONTWAIT.
std::size_t NetlinkSocket::receive(int flags, const std::string& attempt) {
  for (;;) {
    sockaddr_nl sender{};
    socklen_t length = sizeof sender;
    const ssize_t size = ::recvfrom(fd_.get(), buffer_.get(), kReceiveSize, flags,
                                    reinterpret_cast<sockaddr*>(&sender), &length);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return 0;
    if (size < 0) throw_errno("{}", attempt);
    if (sender.nl_pid == 0) return static_cast<std::size_t>(size);
  }
}

void NetlinkSocket::send(const NetlinkMessages& messages) {
  if (messages.empty()) return;
  const std::string& first = messages.attempts_.front();
  send_bytes(messages.bytes_.data(), messages.bytes_.size(), first);
  // The kernel works on them within send(2): the answers are there.
  std::optional<SystemError> refused;
  while (const std::size_t size = receive(MSG_DONTWAIT, first)) {
    int left = static_cast<int>(size);
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    for (; mnl().nlmsg_ok(header, left); header = mnl().nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR || refused) continue;
      const Answer answer = read_answer(header);
      const std::size_t number = header->nlmsg_seq;
      const bool known = number > 0 && number <= messages.attempts_.size();
      if (answer.error != 0) {
        refused.emplace(answer.error, known ? messages.attempts_[number - 1] : first, answer.words);
      }
    }
  }
  if (refused) throw SystemError(*refused);
}

std::optional<int> NetlinkSocket::link_index(const std::string& name) const {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return std::nullopt;
  name.copy(request.ifr_name, name.size());
  if (::ioctl(fd_.get(), SIOCGIFINDEX, &request) == 0) return request.ifr_ifindex;
  if (errno != ENODEV) throw_errno("cannot find the link '{}'", printable(name));
  return std::nullopt;
}

void NetlinkSocket::request(const nlmsghdr* message, const std::string& attempt,
                            const std::function<void(const nlmsghdr*)>& each) {
  const bool dumps = (message->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const bool acknowledged = (message->nlmsg_flags & NLM_F_ACK) != 0;
  send_bytes(reinterpret_cast<const char*>(message), message->nlmsg_len, attempt);
  for (;;) {
    int left = static_cast<int>(receive(0, attempt));
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    for (; mnl().nlmsg_ok(header, left); header = mnl().nlmsg_next(header, &left)) {
      if (header->nlmsg_type == NLMSG_DONE) return;
      if (header->nlmsg_type == NLMSG_ERROR) {
        const Answer answer = read_answer(header);
        if (answer.error != 0) refuse(answer, attempt);
        return;
      }
      each(header);
      if (!dumps && !acknowledged) return;
    }
  }
}

}  // namespace sbx::detail
