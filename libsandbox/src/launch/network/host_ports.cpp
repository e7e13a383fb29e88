// SPDX-License-Identifier: Apache-2.0
#include "launch/network/host_ports.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "sbx/error.hpp"
#include "sbx/fd.hpp"

namespace sbx::detail {
namespace {

/// Whether a socket of the host's is bound to the port.
bool is_taken(const PublishedPort& port, int family) {
  const bool tcp = port.protocol == PublishedPort::Protocol::kTcp;
  const UniqueFd socket(::socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!socket) return false;  // not even the family is there
  const int on = 1;
  // Connections of TCP that are over hold their port for a while, and are in nobody's way.
  if (tcp) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  v6.sin6_family = AF_INET6;
  v4.sin_family = AF_INET;
  v6.sin6_port = v4.sin_port = htons(port.host_port);
  if (port.address) {
    const auto bytes = port.address->bytes();
    void* const place =
        family == AF_INET ? static_cast<void*>(&v4.sin_addr) : static_cast<void*>(&v6.sin6_addr);
    std::memcpy(place, bytes.data(), bytes.size());
  }
  if (family == AF_INET6) {
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6) < 0 &&
           errno == EADDRINUSE;
  }
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4) < 0 &&
         errno == EADDRINUSE;
}

}  // namespace

void require_silent_ports(const Network& network) {
  for (const PublishedPort& port : network.publish) {
    for (const int family : {AF_INET, AF_INET6}) {
      if (port.address && (port.address->family() == IpFamily::kIpv4) != (family == AF_INET)) {
        continue;
      }
      if (is_taken(port, family)) {
        throw SystemError(EADDRINUSE, fmt::format("cannot publish '{}'", port.to_string()),
                          "a program of the host's has the port");
      }
    }
  }
}

}  // namespace sbx::detail
