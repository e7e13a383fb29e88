// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/namespace.hpp"
#include "support/process.hpp"
#include "support/socket_address.hpp"
#include "support/throw_errno.hpp"

namespace sbx::test {

/// A UDP socket in a network namespace.
class Datagrams {
 public:
  /// At every address and at one port for all.
  Datagrams(const Namespace& network, IpFamily family)
      : Datagrams(network, family == IpFamily::kIpv4 ? "0.0.0.0" : "::", kPort) {}

  Datagrams(const Namespace& network, const std::string& address, std::uint16_t port) {
    const SocketAddress own(address, port);
    fd_ = network.run(
        [&own] { return UniqueFd(::socket(own.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
    if (::bind(fd_.get(), own.get(), own.size) < 0) throw_errno("cannot bind to " + address);
  }

  /// The errno of sendto(2); 0 for success.
  int send(const std::string& text, const std::string& address) {
    const SocketAddress to(address, kPort);
    return ::sendto(fd_.get(), text.data(), text.size(), 0, to.get(), to.size) < 0 ? errno : 0;
  }

  /// Sends the text until `receiver` has it: until the kernel has noticed that both ends of a link
  /// are up, which it does in its own time, it drops what is sent.
  bool reaches(Datagrams& receiver, const std::string& text, const std::string& address) {
    return wait_until([&] {
      send(text, address);
      return receiver.receives(text, std::chrono::milliseconds(50));
    });
  }

  /// Whether the text comes, among others.
  bool receives(const std::string& text, std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!has(text)) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd ready{fd_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count()) + 1) <= 0) {
        return has(text);
      }
    }
    return true;
  }

  /// Whether the text has come until now.
  bool has(const std::string& text) {
    char buffer[2048];
    for (ssize_t size; (size = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;) {
      come_.emplace_back(buffer, static_cast<std::size_t>(size));
    }
    return std::find(come_.begin(), come_.end(), text) != come_.end();
  }

 private:
  static constexpr std::uint16_t kPort = 4242;

  UniqueFd fd_;
  std::vector<std::string> come_;
};

}  // namespace sbx::test
