// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "sbx/ip_address.hpp"

namespace sbx::test {

/// An address and a port as the socket calls take them and give them.
struct SocketAddress {
  /// Nobody's yet, with room for any.
  SocketAddress() = default;

  SocketAddress(const std::string& address, std::uint16_t port) {
    const auto ip = IpAddress::parse(address);
    const auto bytes = ip.bytes();
    if (ip.family() == IpFamily::kIpv4) {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
      size = sizeof v4;
    } else {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
      size = sizeof v6;
    }
  }

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }

  [[nodiscard]] std::string address() const {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    const void* bytes =
        family() == AF_INET ? static_cast<const void*>(&v4.sin_addr) : &v6.sin6_addr;
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(family(), bytes, text, sizeof text);
    return text;
  }

  [[nodiscard]] std::uint16_t port() const {
    // At the same place in both families.
    return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  }

  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
};

}  // namespace sbx::test
