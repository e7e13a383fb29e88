// SPDX-License-Identifier: Apache-2.0
//
// Joins three network namespaces by a bridge, the first two at isolated ports: each of these can
// talk to the third, which could be a server's, and not to the other. Needs CAP_SYS_ADMIN.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <iostream>
#include <string>
#include <system_error>

#include "sbx/error.hpp"
#include "sbx/link.hpp"

namespace {

/// A namespace at a port of the bridge, and a socket in it.
struct Member {
  sbx::Namespace network = sbx::Namespace::create(sbx::NamespaceKind::kNet);
  sbx::Link port;
  sockaddr_in address{AF_INET, htons(4242), {}, {}};
  sbx::UniqueFd socket =
      network.run([] { return sbx::UniqueFd(::socket(AF_INET, SOCK_DGRAM, 0)); });

  Member(sbx::Rtnetlink& hub, const sbx::Link& bridge, const std::string& name, bool isolated)
      : port(hub.create({.name = name, .peer_name = "eth0", .peer_namespace = &network})) {
    port.join(bridge, {.isolated = isolated});
    port.set_up();
    auto inside = sbx::Rtnetlink(network).open("eth0");
    inside.add_address(sbx::IpPrefix::parse(name + "/24"));
    inside.set_up();
    ::inet_pton(AF_INET, name.c_str(), &address.sin_addr);
    ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  // What is sent is lost until the kernel has noticed that both ends of a link are up.
  bool reaches(const Member& other, int attempts) const {
    const auto* const there = reinterpret_cast<const sockaddr*>(&other.address);
    bool received = false;
    for (int i = 0; i < attempts && !received; ++i) {
      ::sendto(socket.get(), "x", 1, 0, there, sizeof other.address);
      char letter;
      received = ::recv(other.socket.get(), &letter, 1, 0) == 1;
    }
    return received;
  }
};

}  // namespace

int main() try {
  const auto middle = sbx::Namespace::create(sbx::NamespaceKind::kNet);
  sbx::Rtnetlink hub(middle);
  auto bridge = hub.create_bridge("bridge");
  bridge.set_up();
  const Member first(hub, bridge, "10.0.0.1", true);
  const Member second(hub, bridge, "10.0.0.2", true);
  const Member server(hub, bridge, "10.0.0.3", false);

  const bool served = first.reaches(server, 100) && second.reaches(server, 100);
  const bool apart = !first.reaches(second, 3);
  std::cout << (served ? "served" : "not served") << (apart ? ", apart\n" : ", not apart\n");
  return served && apart ? 0 : 1;
} catch (const sbx::SystemError& error) {
  std::cout << error.what() << '\n';
  return error.code() == std::errc::operation_not_permitted ? 77 : 1;
}
