// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_chain.hpp"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_arp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include "kernel/netlink/nft_attributes.hpp"
#include "kernel/netlink/nft_field.hpp"

namespace sbx::detail {
namespace {

using nft::BaseChain;
using nft::ChainType;
using nft::Family;
using nft::Hook;

// In the order of nft::ChainType.
constexpr std::array<const char*, 3> kTypes{"filter", "nat", "route"};

struct HookNumber {
  Hook hook;
  std::uint32_t number;
};

// For all families but those that follow.
constexpr std::array kInetHooks{
    HookNumber{Hook::kPrerouting, NF_INET_PRE_ROUTING},
    HookNumber{Hook::kInput, NF_INET_LOCAL_IN},
    HookNumber{Hook::kForward, NF_INET_FORWARD},
    HookNumber{Hook::kOutput, NF_INET_LOCAL_OUT},
    HookNumber{Hook::kPostrouting, NF_INET_POST_ROUTING},
    HookNumber{Hook::kIngress, NF_INET_INGRESS},
};
constexpr std::array kArpHooks{
    HookNumber{Hook::kInput, NF_ARP_IN},
    HookNumber{Hook::kOutput, NF_ARP_OUT},
    HookNumber{Hook::kForward, NF_ARP_FORWARD},
};
constexpr std::array kNetdevHooks{
    HookNumber{Hook::kIngress, NF_NETDEV_INGRESS},
    HookNumber{Hook::kEgress, NF_NETDEV_EGRESS},
};

std::span<const HookNumber> hooks_of(Family family) {
  if (family == Family::kArp) return kArpHooks;
  if (family == Family::kNetdev) return kNetdevHooks;
  return kInetHooks;
}

std::uint32_t number_of(Hook hook, const nft::Table& table) {
  for (const HookNumber& each : hooks_of(table.family)) {
    if (each.hook == hook) return each.number;
  }
  throw std::invalid_argument(
      fmt::format("a chain of the table '{}' cannot have this hook", name_of(table)));
}

void write_base(NftMessage& message, const nft::Table& table, const BaseChain& base) {
  message.text(NFTA_CHAIN_TYPE, kTypes.at(static_cast<std::size_t>(base.type)));
  message.number(NFTA_CHAIN_POLICY, base.drops ? NF_DROP : NF_ACCEPT);
  const NftMessage::Nest hook = message.nest(NFTA_CHAIN_HOOK);
  message.number(NFTA_HOOK_HOOKNUM, number_of(base.hook, table));
  message.number(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(base.priority));
  if (!base.device.empty()) message.text(NFTA_HOOK_DEV, base.device);
}

/// None for a type or hook that is not of this library's.
std::optional<BaseChain> read_base(Family family, const NftAttributes& chain) {
  const NftAttributes hook = chain.nest(NFTA_CHAIN_HOOK);
  const std::uint32_t number = hook.number(NFTA_HOOK_HOOKNUM);
  const std::string type = chain.text(NFTA_CHAIN_TYPE);
  const auto hooks = hooks_of(family);
  const auto* const found_type = std::find(kTypes.begin(), kTypes.end(), type);
  const auto found_hook = std::find_if(
      hooks.begin(), hooks.end(), [&](const HookNumber& each) { return each.number == number; });
  if (found_type == kTypes.end() || found_hook == hooks.end()) return {};
  return BaseChain{.type = static_cast<ChainType>(found_type - kTypes.begin()),
                   .hook = found_hook->hook,
                   .priority = static_cast<int>(hook.number(NFTA_HOOK_PRIORITY)),
                   .drops = chain.number(NFTA_CHAIN_POLICY) == NF_DROP,
                   .device = hook.text(NFTA_HOOK_DEV)};
}

}  // namespace

void write_chain(NftMessage& message, const nft::Table& table, const nft::Chain& chain) {
  message.text(NFTA_CHAIN_TABLE, table.name);
  message.text(NFTA_CHAIN_NAME, chain.name);
  if (chain.base) write_base(message, table, *chain.base);
}

nft::FoundChain read_chain(const nlmsghdr* message) {
  const NftAttributes chain(message);
  nft::FoundChain found{.table = {family_of(message), chain.text(NFTA_CHAIN_TABLE)},
                        .chain = {.name = chain.text(NFTA_CHAIN_NAME)}};
  if (chain.has(NFTA_CHAIN_HOOK)) found.chain.base = read_base(found.table.family, chain);
  return found;
}

}  // namespace sbx::detail
