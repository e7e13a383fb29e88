// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "launch/child/protocol.hpp"

namespace sbx::child {

/// A request as it came, with the descriptors that came along: those that nobody took are closed.
class Message {
 public:
  Message() noexcept = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  Message(Message&&) = delete;
  Message& operator=(Message&&) = delete;
  ~Message();

  enum class Outcome {
    kRequest,
    kNothing,  // there was none, after all
    kEnd,      // the other end has hung up or talks nonsense
  };
  Outcome receive(int socket) noexcept;

  /// Takes descriptor `index` out: the caller closes it.
  int take(std::size_t index) noexcept;

  Request request;
  int fds[kMostDescriptors];
  std::size_t fd_count = 0;
};

/// Sends `event`, with the descriptor `fd` when there is one. False when it did not get out: the
/// init waits for nobody. Nobody misses it where `socket` is none.
bool send_event(int socket, const Event& event, int fd = -1) noexcept;

/// Sends the descriptor `fd` alone, with one byte.
long send_descriptor(int socket, int fd) noexcept;

}  // namespace sbx::child
