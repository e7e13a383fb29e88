// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx::detail {

/// Gives the clause that an error of the kernel's is told with, such as "cannot add the address
/// '10.0.0.1/8' to 'eth0'": put together only where there is one.
using Attempt = std::function<std::string()>;

/// Errors that a message may be refused for.
using Excuses = std::array<int, 2>;
inline constexpr Excuses kAnyError{-1, -1};

/// Netlink messages, one after the other as they are sent, each with its attempt.
class NetlinkMessages {
 public:
  NetlinkMessages();  // with room for what a start has

  /// Adds a message as it is; its length is in its header, and its number is set here.
  void append(const nlmsghdr* message, Attempt attempt);

  /// The last message may be refused for these.
  void excuse_last(const Excuses& errors);

  [[nodiscard]] bool empty() const noexcept { return refusals_.empty(); }
  void clear();

 private:
  friend class NetlinkSocket;

  struct Refusal {
    Attempt attempt;
    Excuses excused{};
  };

  std::vector<char> bytes_;
  std::vector<Refusal> refusals_;  // what is made of it, for each message
};

/// What tells a socket's network namespace from all others since the machine's start.
std::uint64_t namespace_cookie(const UniqueFd& socket);

/// A netlink(7) socket for one of the kernel's protocols, in one network namespace. Answers carry
/// the kernel's own words where it has some (NETLINK_EXT_ACK).
class NetlinkSocket {
 public:
  /// In the calling thread's namespace.
  explicit NetlinkSocket(int protocol);

  /// In `network`, without moving the caller.
  NetlinkSocket(int protocol, const Namespace& network);

  /// One made elsewhere.
  explicit NetlinkSocket(UniqueFd socket);

  /// Sends the messages in one piece, and after them `mark`, a message that ends them where they
  /// need one. The kernel has worked on all of them when this returns; with rtnetlink it goes on
  /// after one that it refuses. Throws SystemError for the first of those. False where one was
  /// refused that is excused.
  bool send(const NetlinkMessages& messages, std::span<const char> mark = {});

  /// Sends one message and passes each message of the answer on, but for acknowledgements and ends.
  /// One that may have no answer asks for an acknowledgement. `attempt` is what an error is told
  /// with.
  void request(const nlmsghdr* message, const Attempt& attempt,
               const std::function<void(const nlmsghdr*)>& each);

  [[nodiscard]] std::uint64_t namespace_cookie() const { return detail::namespace_cookie(fd_); }

  /// The number of the link of that name in the socket's namespace; none where there is no such
  /// link. Sooner than rtnetlink(7) tells it, with all else.
  [[nodiscard]] std::optional<int> link_index(const std::string& name) const;

 private:
  void prepare();
  void make_room(std::size_t size);
  void send_bytes(std::span<const char> bytes, std::span<const char> more, const Attempt& attempt);
  std::size_t receive(int flags, const Attempt& attempt);

  UniqueFd fd_;
  std::unique_ptr<char[]> buffer_;  // not cleared: few answers touch much of it
  std::size_t room_ = 0;
};

}  // namespace sbx::detail
