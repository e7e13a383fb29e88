// SPDX-License-Identifier: Apache-2.0
#include "bench/stream.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "bench/measure.hpp"

namespace sbx::bench {
namespace {

constexpr std::size_t kPiece = std::size_t{128} << 10;
constexpr std::size_t kQuestion = 64;
constexpr int kWaiting = 256 << 20;  // room for all datagrams of a turn

int need(ssize_t result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return static_cast<int>(result);
}

sockaddr_in address_of(const std::string& text, in_port_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = port;
  ::inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

UniqueFd open_socket(const Namespace& where, int type) {
  return where.run([type] {
    return UniqueFd(need(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "cannot make a socket"));
  });
}

/// Binds `socket` to a port of the address: where others find it.
sockaddr_in bind_to(const UniqueFd& socket, const std::string& text) {
  sockaddr_in address = address_of(text, 0);
  socklen_t size = sizeof address;
  need(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), "cannot bind");
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

void connect_to(const UniqueFd& socket, const sockaddr_in& address) {
  need(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
       "cannot connect");
}

/// The one of all kernels that never waits to send evenly: that would be measured, too.
void send_at_once(const UniqueFd& socket) {
  constexpr std::string_view kReno = "reno";
  need(::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, kReno.data(), kReno.size()),
       "cannot choose how TCP avoids congestion");
}

void set_no_delay(const UniqueFd& socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void send_all(const UniqueFd& socket, std::size_t bytes) {
  const std::vector<char> piece(kPiece);
  while (bytes > 0) {
    const ssize_t sent =
        ::send(socket.get(), piece.data(), std::min(bytes, piece.size()), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes -= static_cast<std::size_t>(sent);
  }
}

void receive_all(const UniqueFd& socket, std::size_t bytes) {
  std::vector<char> piece(kPiece);
  while (bytes > 0) {
    const ssize_t size = ::recv(socket.get(), piece.data(), std::min(bytes, piece.size()), 0);
    if (size <= 0) throw CannotRun("the connection has ended");
    bytes -= static_cast<std::size_t>(size);
  }
}

void stay_on_first_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

}  // namespace

Stream::Stream(const Namespace& from, const Namespace& to, const std::string& address)
    : near_(open_socket(from, SOCK_STREAM)) {
  const UniqueFd listening = open_socket(to, SOCK_STREAM);
  const sockaddr_in place = bind_to(listening, address);
  send_at_once(near_);
  send_at_once(listening);
  need(::listen(listening.get(), 1), "cannot listen");
  connect_to(near_, place);
  far_ =
      UniqueFd(need(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC), "cannot accept"));
  set_no_delay(near_);
  set_no_delay(far_);
}

double Stream::transfer(std::size_t bytes, Direction direction) const {
  const UniqueFd& sender = direction == Direction::kOut ? near_ : far_;
  const UniqueFd& receiver = direction == Direction::kOut ? far_ : near_;
  double took = 0;
  std::jthread([&] {
    stay_on_first_processor();
    const auto start = Clock::now();
    const std::jthread sending([&] {
      stay_on_first_processor();
      send_all(sender, bytes);
    });
    receive_all(receiver, bytes);
    took = microseconds_since(start);
  }).join();
  return took;
}

double Stream::exchange(int times) const {
  double took = 0;
  const std::jthread answering([&] {
    stay_on_first_processor();
    for (int i = 0; i < times; ++i) {
      receive_all(far_, kQuestion);
      send_all(far_, kQuestion);
    }
  });
  std::jthread([&] {
    stay_on_first_processor();
    const auto start = Clock::now();
    for (int i = 0; i < times; ++i) {
      send_all(near_, kQuestion);
      receive_all(near_, kQuestion);
    }
    took = microseconds_since(start);
  }).join();
  return took;
}

Datagrams::Datagrams(const Namespace& from, const Namespace& to, const std::string& address)
    : near_(open_socket(from, SOCK_DGRAM)), far_(open_socket(to, SOCK_DGRAM | SOCK_NONBLOCK)) {
  need(::setsockopt(far_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kWaiting, sizeof kWaiting),
       "cannot have room for datagrams");
  connect_to(near_, bind_to(far_, address));
}

double Datagrams::send(int count) const {
  const char bytes[kQuestion] = {};
  const auto start = Clock::now();
  // The sender's processor takes each packet all the way.
  for (int i = 0; i < count; ++i) need(::send(near_.get(), bytes, sizeof bytes, 0), "cannot send");
  const double took = microseconds_since(start);
  char received[kQuestion];
  int come = 0;
  while (::recv(far_.get(), received, sizeof received, 0) > 0) ++come;
  if (come != count) throw CannotRun(fmt::format("{} of {} datagrams have come", come, count));
  return took;
}

}  // namespace sbx::bench
