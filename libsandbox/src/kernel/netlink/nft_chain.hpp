// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel/netlink/nft_message.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Throws std::invalid_argument for a hook that tables of the family do not have.
void write_chain(NftMessage& message, const nft::Table& table, const nft::Chain& chain);

nft::FoundChain read_chain(const nlmsghdr* message);

}  // namespace sbx::detail
