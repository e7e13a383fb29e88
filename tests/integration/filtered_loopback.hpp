// SPDX-License-Identifier: Apache-2.0
//
// Datagrams over the loopback of a network of the test's own, and a packet filter that they go
// through. One that a chain at the output drops is refused to its sender, at once.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "sbx/ip_address.hpp"
#include "sbx/namespace.hpp"
#include "sbx/nftables.hpp"
#include "support/datagram.hpp"
#include "support/loopback.hpp"

namespace sbx::test {

inline const nft::Table kTable{nft::Family::kInet, "sandbox"};
inline const nft::Chain kOutput{"out", nft::BaseChain{.hook = nft::Hook::kOutput}};
/// Where destinations are translated.
inline const nft::Chain kNat{
    "nat",
    nft::BaseChain{.type = nft::ChainType::kNat, .hook = nft::Hook::kOutput, .priority = -100}};
inline constexpr std::uint16_t kPort = 7000;
inline constexpr std::uint16_t kOther = 7001;
inline constexpr std::uint64_t kSize4 = 38;  // ten bytes of text in UDP, in IPv4
inline constexpr std::uint64_t kSize6 = 58;

inline nft::Value port(std::uint16_t number) { return nft::Value().add_port(number); }
inline nft::Value udp() { return nft::Value().add_byte(IPPROTO_UDP); }
inline nft::Value address(const std::string& text) { return nft::Value(IpAddress::parse(text)); }

/// A network with a table, and a chain of it at the output.
struct FilteredLoopback {
  Namespace network = loopback_network();
  nft::Nftables nftables{network};
  DatagramSocket here{network, "127.0.0.1", 6000};
  DatagramSocket there{network, "127.0.0.1", kPort};

  FilteredLoopback() { commit(nft::Batch().add(kTable).add(kTable, kOutput)); }

  void commit(const nft::Batch& batch) { nftables.commit(batch); }
  void add(const nft::Rule& rule) { commit(nft::Batch().add(kTable, "out", rule)); }
  void count_by(const std::string& name, nft::Rule rule) {
    commit(nft::Batch().add_counter(kTable, name).add(kTable, "out", rule.counter(name)));
  }
  [[nodiscard]] nft::Counter counted(const std::string& name) const {
    return nftables.counter(kTable, name);
  }
  [[nodiscard]] bool passes(const std::string& to, std::uint16_t port = kPort) const {
    return here.send(to, port) == 0;
  }
};

}  // namespace sbx::test
