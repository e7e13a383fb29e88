// SPDX-License-Identifier: Apache-2.0
//
// Other firewalls of the host's: what they refuse nobody else can let through.
#pragma once

#include <string>
#include <vector>

#include "launch/network/tenant.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Which of them there are, but for ours: when it is another list than before there may be others.
std::vector<std::string> other_filters(const nft::Nftables& tables, const HostNames& names);

/// The chains that refuse what they do not know, where packets of sandboxes come by: "the chain
/// 'FORWARD' of the table 'ip filter'". Those for packets to the host, too, if `to_host`.
std::vector<std::string> other_walls(const nft::Nftables& tables, const HostNames& names,
                                     bool to_host);

}  // namespace sbx::detail
