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

/// A UDP socket at an address of a network.
class DatagramSocket {
 public:
  DatagramSocket(const Namespace& network, const std::string& address, std::uint16_t port) {
    const SocketAddress own(address, port);
    fd_ =
        network.run([&] { return UniqueFd(::socket(own.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
    if (::bind(fd_.get(), own.get(), own.size) < 0) throw_errno("cannot bind to " + address);
  }

  /// 0, or the errno: EPERM when a chain at the output drops it.
  [[nodiscard]] int send(const std::string& address, std::uint16_t port,
                         const std::string& text = "0123456789") const {
    const SocketAddress to(address, port);
    const auto sent = ::sendto(fd_.get(), text.data(), text.size(), 0, to.get(), to.size);
    return sent < 0 ? errno : 0;
  }

  /// How many of `count` datagrams were not dropped at the output.
  [[nodiscard]] int send_many(int count, const std::string& address, std::uint16_t port) const {
    int sent = 0;
    for (int i = 0; i < count; ++i) sent += send(address, port) == 0 ? 1 : 0;
    return sent;
  }

  /// The sender of the next datagram, "ADDRESS:PORT"; "nobody" where none comes.
  [[nodiscard]] std::string receive() const {
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kDeadlineMs) != 1) return "nobody";
    SocketAddress from;
    char text[256];
    if (::recvfrom(fd_.get(), text, sizeof text, 0, from.get(), &from.size) < 0) return "nobody";
    return from.address() + ":" + std::to_string(from.port());
  }

  void connect(const std::string& address, std::uint16_t port) const {
    const SocketAddress to(address, port);
    if (::connect(fd_.get(), to.get(), to.size) < 0) throw_errno("cannot connect to " + address);
  }

  /// The error that the network answers what is sent to the other end of the connection with.
  [[nodiscard]] int refusal() const {
    if (::send(fd_.get(), "x", 1, 0) < 0) return errno;
    pollfd ready{.fd = fd_.get(), .events = 0, .revents = 0};
    ::poll(&ready, 1, kDeadlineMs);
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  static constexpr int kDeadlineMs = 20000;

  UniqueFd fd_;
};

/// A UDP socket that remembers what has come.
class Datagrams {
 public:
  /// At every address and at one port for all.
  Datagrams(const Namespace& network, IpFamily family)
      : Datagrams(network, family == IpFamily::kIpv4 ? "0.0.0.0" : "::", kPort) {}

  Datagrams(const Namespace& network, const std::string& address, std::uint16_t port)
      : socket_(network, address, port) {}

  /// The errno of sendto(2); 0 for success.
  int send(const std::string& text, const std::string& address) {
    return socket_.send(address, kPort, text);
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
      pollfd ready{socket_.fd(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count()) + 1) <= 0) {
        return has(text);
      }
    }
    return true;
  }

  /// Whether the text has come until now.
  bool has(const std::string& text) {
    char buffer[2048];
    for (ssize_t size; (size = ::recv(socket_.fd(), buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;) {
      come_.emplace_back(buffer, static_cast<std::size_t>(size));
    }
    return std::find(come_.begin(), come_.end(), text) != come_.end();
  }

 private:
  static constexpr std::uint16_t kPort = 4242;

  DatagramSocket socket_;
  std::vector<std::string> come_;
};

}  // namespace sbx::test
