// SPDX-License-Identifier: Apache-2.0
//
// Connects two network namespaces by a pair of virtual Ethernet interfaces, and a program in the
// one to a server in the other. Needs CAP_SYS_ADMIN. The pair goes with its handle.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <iostream>
#include <system_error>

#include "sbx/error.hpp"
#include "sbx/link.hpp"

namespace {

constexpr const char* kServer = "10.0.0.2";

sbx::UniqueFd stream() { return sbx::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

bool connects(const sbx::Namespace& client, const sbx::Namespace& server) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(80);
  ::inet_pton(AF_INET, kServer, &address.sin_addr);
  const auto* const target = reinterpret_cast<const sockaddr*>(&address);

  const sbx::UniqueFd listener = server.run(stream);
  const sbx::UniqueFd caller = client.run(stream);
  return ::bind(listener.get(), target, sizeof address) == 0 && ::listen(listener.get(), 1) == 0 &&
         ::connect(caller.get(), target, sizeof address) == 0;
}

}  // namespace

int main() try {
  const auto left = sbx::Namespace::create(sbx::NamespaceKind::kNet);
  const auto right = sbx::Namespace::create(sbx::NamespaceKind::kNet);
  sbx::Rtnetlink left_links(left);
  const sbx::Rtnetlink right_links(right);

  auto near = left_links.create({.name = "near", .peer_name = "far", .peer_namespace = &right});
  auto far = right_links.open("far");
  near.add_address(sbx::IpPrefix::parse("10.0.0.1/24"));
  far.add_address(sbx::IpPrefix::parse("10.0.0.2/24"));
  far.set_up();
  near.set_up();

  const bool connected = connects(left, right);
  std::cout << (connected ? "connected: " : "no connection: ") << near.statistics().tx_packets
            << " frames to " << far.mac().to_string() << '\n';
  return connected ? 0 : 1;
} catch (const sbx::SystemError& error) {
  std::cout << error.what() << '\n';
  return error.code() == std::errc::operation_not_permitted ? 77 : 1;
}
