// SPDX-License-Identifier: Apache-2.0
#include "network/sockets.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "support/socket_address.hpp"
#include "support/throw_errno.hpp"

namespace sbx::test {
namespace {

// Milliseconds.
constexpr int kPatience = 5000;
constexpr int kConnectPatience = 2500;
constexpr int kShortPatience = 1500;  // more than the second after which a SYN is sent again

int type_of(Transport transport) { return transport == Transport::kTcp ? SOCK_STREAM : SOCK_DGRAM; }

UniqueFd socket_of(const Namespace& where, const SocketAddress& name, int type) {
  return where.run(
      [&] { return UniqueFd(::socket(name.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); });
}

/// None when nobody answers so soon.
UniqueFd connect(const Namespace& where, const SocketAddress& to, int type, int patience) {
  UniqueFd fd = socket_of(where, to, type);
  if (::connect(fd.get(), to.get(), to.size) == 0) return fd;
  if (errno != EINPROGRESS) return {};
  pollfd wanted{.fd = fd.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&wanted, 1, patience) != 1 || error_of(fd) != 0) return {};
  return fd;
}

}  // namespace

Listener::Listener(const Namespace& where, const std::string& address, std::uint16_t port,
                   Transport transport)
    : transport_(transport) {
  const SocketAddress name(address, port);
  fd_ = socket_of(where, name, type_of(transport));
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (name.family() == AF_INET6) {
    ::setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd_.get(), name.get(), name.size) < 0) throw_errno("cannot bind to " + address);
  if (transport == Transport::kTcp && ::listen(fd_.get(), 64) < 0) throw_errno("cannot listen");
}

void Listener::wait() const {
  pollfd wanted{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  ::poll(&wanted, 1, kPatience);
}

std::string Listener::visitor() const {
  SocketAddress peer;
  if (transport_ == Transport::kTcp) {
    const UniqueFd taken(::accept4(fd_.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
    return taken ? peer.address() : "";
  }
  char byte = 0;
  return ::recvfrom(fd_.get(), &byte, 1, 0, peer.get(), &peer.size) < 0 ? "" : peer.address();
}

std::string Listener::wait_for_visitor() const {
  wait();
  return visitor();
}

void Listener::wait_for_connection(const std::function<void(int)>& body) const {
  wait();
  const UniqueFd taken(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (taken) body(taken.get());
}

bool can_connect(const Namespace& where, const std::string& address, std::uint16_t port) {
  return bool(connect(where, {address, port}, SOCK_STREAM, kConnectPatience));
}

UniqueFd connected(const Namespace& where, const std::string& address, std::uint16_t port,
                   int type) {
  UniqueFd fd = connect(where, {address, port}, type, kShortPatience);
  if (!fd) return fd;
  // Ended by a reset, which the tracking of connections takes for an end at once.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return fd;
}

std::uint16_t port_of(const UniqueFd& socket) {
  SocketAddress own;
  ::getsockname(socket.get(), own.get(), &own.size);
  return own.port();
}

int error_of(const UniqueFd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void say(const Namespace& where, const std::string& address, std::uint16_t port,
         const std::string& text) {
  const UniqueFd fd = connected(where, address, port, SOCK_DGRAM);
  if (!fd || ::send(fd.get(), text.data(), text.size(), 0) < 0) {
    throw_errno("cannot send a datagram to " + address);
  }
}

}  // namespace sbx::test
