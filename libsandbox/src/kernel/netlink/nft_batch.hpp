// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernel/netlink/nft_elements.hpp"
#include "kernel/netlink/nft_message.hpp"
#include "kernel/netlink/socket.hpp"
#include "sbx/nftables.hpp"

namespace sbx::nft {

/// How elements are changed, and what an error is told with: "cannot add {} to the set '{}' of the
/// table '{}'".
struct ElementsChange {
  int type;
  int flags;
  detail::ElementPart part;
  const char* attempt;
};

/// What is to be sent, and the memory in which the next message is put together.
struct Batch::Messages {
  detail::NetlinkMessages all;
  std::vector<char> end;  // the mark without which the kernel forgets the rest, silently
  detail::MessageRoom room;
  std::uint32_t changes = 0;

  Messages();

  /// A message about `table`; `add` takes it when it has its attributes.
  [[nodiscard]] detail::NftMessage start(const Table& table, int type, int flags);
  void add(const detail::NftMessage& message, detail::Attempt attempt);

  /// In as many messages as it takes.
  void add_elements(const ElementsChange& change, const Table& table, const Set& set,
                    const std::vector<Element>& elements);
};

}  // namespace sbx::nft
