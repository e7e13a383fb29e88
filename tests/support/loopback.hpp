// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"
#include "support/socket_address.hpp"

namespace sbx::test {

/// A new network namespace in which the loopback is up, and has 10.9.9.9, too.
inline Namespace loopback_network() {
  auto network = Namespace::create(NamespaceKind::kNet);
  network.run([] {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) < 0) throw std::runtime_error("lo stays down");
    std::strcpy(request.ifr_name, "lo:1");
    auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
    *address = {};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(0x0a090909);
    if (::ioctl(fd.get(), SIOCSIFADDR, &request) < 0) throw std::runtime_error("lo:1 not made");
  });
  return network;
}

/// A datagram socket at an address of a network.
class LocalDatagrams {
 public:
  LocalDatagrams(const Namespace& network, const std::string& address, std::uint16_t port) {
    const SocketAddress own(address, port);
    fd_ =
        network.run([&] { return UniqueFd(::socket(own.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
    if (::bind(fd_.get(), own.get(), own.size) < 0) {
      throw std::runtime_error("cannot bind to " + address);
    }
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
    if (::connect(fd_.get(), to.get(), to.size) < 0) {
      throw std::runtime_error("cannot connect to " + address);
    }
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

 private:
  static constexpr int kDeadlineMs = 20000;

  UniqueFd fd_;
};

/// Sends an ICMP message of this type with these two bytes where others have their destination
/// port. 0, or the errno.
inline int send_icmp(const Namespace& network, const std::string& address, std::uint8_t type,
                     std::uint16_t checksum) {
  const UniqueFd fd = network.run(
      [] { return UniqueFd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)); });
  const std::uint8_t message[8] = {type, 0, static_cast<std::uint8_t>(checksum >> 8),
                                   static_cast<std::uint8_t>(checksum)};
  const SocketAddress to(address, 0);
  const auto sent = ::sendto(fd.get(), message, sizeof message, 0, to.get(), to.size);
  return sent < 0 ? errno : 0;
}

}  // namespace sbx::test
