// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "sbx/nftables.hpp"

namespace sbx::detail {

/// The attributes of a message of nf_tables, or of one that holds others; none has more kinds.
class NftAttributes {
 public:
  explicit NftAttributes(const nlmsghdr* message);
  explicit NftAttributes(const nlattr* nest);

  [[nodiscard]] bool has(std::uint16_t type) const { return all_.at(type) != nullptr; }

  // Of one that is there, or else nothing, 0 and so on.
  [[nodiscard]] const nlattr* find(std::uint16_t type) const { return all_.at(type); }
  [[nodiscard]] std::string text(std::uint16_t type) const;
  [[nodiscard]] std::uint32_t number(std::uint16_t type) const;
  [[nodiscard]] std::uint64_t number64(std::uint16_t type) const;
  [[nodiscard]] std::span<const std::uint8_t> bytes(std::uint16_t type) const;
  [[nodiscard]] NftAttributes nest(std::uint16_t type) const { return NftAttributes(find(type)); }

 private:
  static int keep(const nlattr* attribute, void* all);

  std::array<const nlattr*, 32> all_{};
};

/// Calls `body` with each attribute that `nest` holds.
void for_each_attribute(const nlattr* nest, const std::function<void(const nlattr*)>& body);

/// The counter in the attributes NFTA_COUNTER_*.
nft::Counter read_counter(const NftAttributes& attributes);

nft::Family family_of(const nlmsghdr* message);

}  // namespace sbx::detail
