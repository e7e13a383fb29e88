// SPDX-License-Identifier: Apache-2.0
//
// The firewall: which packets pass between sandboxes, the host and the rest of the world, as one
// table of nf_tables, and one more for the ports of the bridge.
//
// A packet looks each thing up once, in a set or a verdict map by its own address: what it costs
// does not depend on how many sandboxes there are. Rules of one sandbox's own stand in chains that
// only its packets are sent to.
#pragma once

#include <vector>

#include "launch/network/tenant.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/network.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

struct Wall {
  HostNames names;
  Pools pools;
};

/// Adds the table, without a sandbox in it. One that is there is replaced.
void build_wall(nft::Batch& batch, const Wall& wall);

/// The same for the ports of the bridge.
void build_port_wall(nft::Batch& batch, const Wall& wall);

/// Lets nothing pass between two of the links, as before the host was made a router.
void keep_closed(nft::Batch& batch, const Wall& wall, const ClosedLinks& links);

/// What is asked on port 53 may be anywhere, and one on the host's loopback is asked in its place.
void admit_name_servers(nft::Batch& batch, const Wall& wall, const std::vector<IpAddress>& servers);

/// Lets `tenant` in: its addresses, its rules, its published ports.
void admit(nft::Batch& batch, const Wall& wall, const Tenant& tenant);

/// Takes out what admit() has added. ENOENT, and nothing changed, where that is not there.
void dismiss(nft::Batch& batch, const Wall& wall, const Tenant& tenant);

/// Forgets which connections of the tenant's were under way.
void forget_connections(nft::Nftables& tables, const Wall& wall, const Tenant& tenant);

/// What has passed to and from `tenant` since it was admitted.
NetworkUsage read_usage(const nft::Nftables& tables, const Wall& wall, const Tenant& tenant);

}  // namespace sbx::detail
