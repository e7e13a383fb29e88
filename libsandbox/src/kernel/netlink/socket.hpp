// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx::detail {

/// Netlink messages, one after the other as they are sent. Each has the clause that an error of the
/// kernel's is told with, such as "cannot add the address '10.0.0.1/8' to 'eth0'".
class NetlinkMessages {
 public:
  /// Adds a message as it is; its length is in its header, and its number is set here.
  void append(const nlmsghdr* message, std::string attempt);

  [[nodiscard]] bool empty() const noexcept { return starts_.empty(); }
  void clear();

 private:
  friend class NetlinkSocket;

  std::vector<char> bytes_;
  std::vector<std::size_t> starts_;
  std::vector<std::string> attempts_;
};

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

  /// Sends the messages in one piece. The kernel has worked on all of them when this returns; with
  /// rtnetlink it goes on after one that it refuses. Throws SystemError for the first of those.
  void send(const NetlinkMessages& messages);

  /// Sends one message and passes each message of the answer on, but for acknowledgements and ends.
  /// One that may have no answer asks for an acknowledgement. `attempt` is what an error is told
  /// with.
  void request(const nlmsghdr* message, const std::string& attempt,
               const std::function<void(const nlmsghdr*)>& each);

  /// The number of the link of that name in the socket's namespace; none where there is no such
  /// link. Sooner than rtnetlink(7) tells it, with all else.
  [[nodiscard]] std::optional<int> link_index(const std::string& name) const;

 private:
  void prepare();
  void send_bytes(const char* bytes, std::size_t size, const std::string& attempt);
  std::size_t receive(int flags, const std::string& attempt);

  UniqueFd fd_;
  std::unique_ptr<char[]> buffer_;  // not cleared: few answers touch much of it
};

}  // namespace sbx::detail
