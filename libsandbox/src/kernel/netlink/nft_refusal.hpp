// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "kernel/netlink/socket.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Whether the chain's last rule refuses whatever comes to it: its policy says nothing then, as in
/// the chains of firewalld. `socket` is one of NETLINK_NETFILTER.
bool ends_in_refusal(NetlinkSocket& socket, const nft::Table& table, const std::string& chain);

}  // namespace sbx::detail
