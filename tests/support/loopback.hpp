// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net/if.h>
#include <netinet/in.h>
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
