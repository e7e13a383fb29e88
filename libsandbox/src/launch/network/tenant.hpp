// SPDX-License-Identifier: Apache-2.0
//
// Who is who in the host's network: names and addresses, all of them made from the place that a
// sandbox has in the book of addresses.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sbx/ip_address.hpp"
#include "sbx/network.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Names of kernel objects, which no two HostNetworks with different run directories share.
struct HostNames {
  std::string table;   // of nf_tables
  std::string prefix;  // of every interface of ours
  std::string bridge;
  std::uint32_t group;  // that every interface of ours is in

  [[nodiscard]] nft::Table filter() const { return {nft::Family::kInet, table}; }
  [[nodiscard]] nft::Table ports() const { return {nft::Family::kBridge, table}; }
};

HostNames names_of(const HostNetwork& host);

struct Pools {
  IpPrefix ipv4;
  IpPrefix ipv6;

  friend bool operator==(const Pools&, const Pools&) = default;
};

/// Interfaces of the host's that it did not forward between, by family.
struct ClosedLinks {
  std::vector<std::string> ipv4;
  std::vector<std::string> ipv6;
};

/// The number of an address in both pools. 0 is no address, 1 is the host's.
using Slot = std::uint32_t;
inline constexpr Slot kGateway = 1;
inline constexpr Slot kFirstSlot = 2;
inline constexpr Slot kLastSlot = 99999;  // what fits into the name of an interface

/// The last slot that has an address in both.
Slot last_slot(const Pools& pools);

/// A sandbox that runs on without an owner: see Sandbox::release().
struct Released {
  pid_t pid = -1;                   // of its process 1
  std::uint64_t pid_namespace = 0;  // in which it has that number: the inode
  std::uint64_t net_namespace = 0;  // its own: the inode
};

/// A sandbox with a place in the network.
struct Tenant {
  Slot slot = 0;
  Network network;
  std::optional<Released> released;  // none: it ends with its owner

  [[nodiscard]] bool on_bridge() const { return network.mode == Network::Mode::kBridge; }
};

/// A tenant's names and addresses.
struct TenantAddresses {
  TenantAddresses(const HostNames& names, const Pools& pools, const Tenant& tenant);

  IpAddress ipv4;
  IpAddress ipv6;
  MacAddress mac;
  std::string link;   // the outer end of its veth pair
  std::string entry;  // where its packets come in as IP sees it: the link, or the bridge
};

/// The address of the host's ends of veth pairs and of its bridge.
inline constexpr MacAddress kHostMac{{0x02, 0x73, 0x62, 0xff, 0xff, 0xff}};

}  // namespace sbx::detail
