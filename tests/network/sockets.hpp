// SPDX-License-Identifier: Apache-2.0
//
// Sockets as ordinary programs have them, on any host and inside any sandbox.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx::test {

enum class Transport { kTcp, kUdp };

/// Somebody who listens.
class Listener {
 public:
  Listener(const Namespace& where, const std::string& address, std::uint16_t port,
           Transport transport = Transport::kTcp);

  /// Takes who has come: the address that he has here; empty when nobody has.
  [[nodiscard]] std::string visitor() const;

  /// The same, but waits a while for one.
  std::string wait_for_visitor() const;

  /// Passes the next connection on, once there is one.
  void wait_for_connection(const std::function<void(int)>& body) const;

 private:
  void wait() const;

  UniqueFd fd_;
  Transport transport_;
};

/// Connects from `where`: whether somebody answers.
bool can_connect(const Namespace& where, const std::string& address, std::uint16_t port);

/// A socket of `type` that is connected; none when nobody answers. Closed, it is reset.
UniqueFd connected(const Namespace& where, const std::string& address, std::uint16_t port,
                   int type);

/// The socket's own.
std::uint16_t port_of(const UniqueFd& socket);

/// The errno that a connected socket was told; 0: nothing.
int error_of(const UniqueFd& socket);

/// Sends a datagram in the usual way.
void say(const Namespace& where, const std::string& address, std::uint16_t port,
         const std::string& text);

}  // namespace sbx::test
