// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <vector>

#include "integration/links.hpp"
#include "sbx/fd.hpp"
#include "support/datagram.hpp"
#include "support/require.hpp"
#include "support/socket_address.hpp"

using sbx::IpFamily;
using sbx::Namespace;
using sbx::test::Datagrams;
using sbx::test::Pair;

namespace {

/// The time that `size` bytes take through TCP from the one namespace to the other.
std::chrono::duration<double> time_to_send(const Namespace& from, const Namespace& to,
                                           const std::string& address, std::size_t size) {
  const sbx::test::SocketAddress there(address, 4243);
  const auto stream = [] {
    return sbx::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  };
  const sbx::UniqueFd listener = to.run(stream);
  REQUIRE(::bind(listener.get(), there.get(), there.size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  sbx::UniqueFd sender = from.run(stream);
  REQUIRE(::connect(sender.get(), there.get(), there.size) == 0);
  const sbx::UniqueFd receiver(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));

  const auto start = std::chrono::steady_clock::now();
  const std::vector<char> bytes(size);
  auto sent = std::async(std::launch::async, [&] {
    const auto all = ::send(sender.get(), bytes.data(), size, MSG_NOSIGNAL);
    sender.reset();
    return all;
  });
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(sender.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::vector<char> come(size);
  REQUIRE(::recv(receiver.get(), come.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
  REQUIRE(sent.get() == static_cast<ssize_t>(size));
  return std::chrono::steady_clock::now() - start;
}

}  // namespace

TEST_CASE("no more goes out of a link than its limit lets") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);
  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  const auto seconds = [&pair](std::size_t size) {
    return time_to_send(pair.one.space, pair.two.space, "10.0.0.2", size).count();
  };

  // Half a megabyte in a second, after 73,728 bytes at once.
  pair.outer.limit_rate(4'000'000);
  CHECK(seconds(600'000) >= 1);

  // A limit takes the place of the one before. Of this one 32 bits would hold 1000 bytes, after 17
  // megabytes at once.
  pair.outer.limit_rate(8 * ((std::uint64_t{1} << 32U) + 1000));
  CHECK(seconds(30'000'000) < 20);
}

TEST_CASE("a limit can be lifted, also where there is none") {
  SBX_REQUIRE_ROOT();
  Pair pair("10.0.0.1/24", "10.0.0.2/24");
  Datagrams here(pair.one.space, IpFamily::kIpv4);
  Datagrams there(pair.two.space, IpFamily::kIpv4);

  pair.outer.limit_rate(0);
  pair.outer.limit_rate(1);
  pair.outer.limit_rate(0);
  pair.outer.limit_rate(0);

  CHECK(here.reaches(there, "ping", "10.0.0.2"));
  CHECK(time_to_send(pair.one.space, pair.two.space, "10.0.0.2", 600'000).count() < 10);
}
