// SPDX-License-Identifier: Apache-2.0
//
// A firewall of one's own: in a new network, datagrams to the ports of a set pass, and all others
// are dropped and counted. The table goes with its handle. Needs CAP_SYS_ADMIN.
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <iostream>
#include <system_error>

#include "sbx/error.hpp"
#include "sbx/namespace.hpp"
#include "sbx/nftables.hpp"

using namespace sbx::nft;

namespace {

void send_to_ports(std::initializer_list<std::uint16_t> ports) {
  const sbx::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{{"lo"}, {.ifru_flags = IFF_UP}};
  ::ioctl(fd.get(), SIOCSIFFLAGS, &loopback);
  for (const auto port : ports) {
    const sockaddr_in to{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    ::sendto(fd.get(), "hello", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
}

}  // namespace

int main() try {
  const auto network = sbx::Namespace::create(sbx::NamespaceKind::kNet);
  Nftables nftables(network);
  const OwnedTable owned(nftables, {Family::kInet, "firewall"});
  const Table& table = owned.table();
  const Set open{.name = "open", .key = {Type::kPort}, .counters = true};
  const auto udp = Value().add_byte(IPPROTO_UDP);

  Batch batch;
  batch.add(table, Chain{"output", BaseChain{.hook = Hook::kOutput}});
  batch.add(table, open).add_counter(table, "dropped");
  batch.add(table, open, {{.key = Value().add_port(53)}, {.key = Value().add_port(443)}});
  batch.add(table, "output", Rule().in({Field::kDestinationPort}, "open").accept());
  batch.add(table, "output", Rule().equals(Field::kProtocol, udp).counter("dropped").drop());
  nftables.commit(batch);

  network.run([] { send_to_ports({53, 53, 80, 443, 8080}); });

  const auto dns = nftables.element(table, open, Value().add_port(53))->counter.value();
  const auto dropped = nftables.counter(table, "dropped");
  std::cout << "to port 53: " << dns.packets << ", dropped: " << dropped.packets << '\n';
  return dns.packets == 2 && dropped.packets == 2 ? 0 : 1;
} catch (const sbx::SystemError& error) {
  std::cout << error.what() << '\n';
  return error.code() == std::errc::operation_not_permitted ? 77 : 1;
}
