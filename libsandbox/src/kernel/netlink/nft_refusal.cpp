// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_refusal.hpp"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include "kernel/netlink/nft_attributes.hpp"
#include "kernel/netlink/nft_field.hpp"
#include "kernel/netlink/nft_message.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

enum class Effect { kNone, kRefuses, kOther };

Effect effect_of(const NftAttributes& expression) {
  const std::string name = expression.text(NFTA_EXPR_NAME);
  if (name == "counter" || name == "log") return Effect::kNone;
  if (name == "reject") return Effect::kRefuses;
  const NftAttributes data = expression.nest(NFTA_EXPR_DATA);
  if (name == "target") {  // of iptables
    return data.text(NFTA_TARGET_NAME) == "REJECT" ? Effect::kRefuses : Effect::kOther;
  }
  if (name != "immediate") return Effect::kOther;
  const NftAttributes value = data.nest(NFTA_IMMEDIATE_DATA);
  const bool drops = value.has(NFTA_DATA_VERDICT) &&
                     value.nest(NFTA_DATA_VERDICT).number(NFTA_VERDICT_CODE) == NF_DROP;
  return drops ? Effect::kRefuses : Effect::kOther;
}

/// Whether the rule refuses every packet: nothing in it asks for anything before.
bool refuses_all(const NftAttributes& rule) {
  bool refuses = false;
  bool asks = false;
  if (!rule.has(NFTA_RULE_EXPRESSIONS)) return false;
  for_each_attribute(rule.find(NFTA_RULE_EXPRESSIONS), [&](const nlattr* each) {
    const Effect effect = effect_of(NftAttributes(each));
    refuses = refuses || (effect == Effect::kRefuses && !asks);
    asks = asks || effect == Effect::kOther;
  });
  return refuses;
}

}  // namespace

bool ends_in_refusal(NetlinkSocket& socket, const nft::Table& table, const std::string& chain) {
  const MessageRoom room(MessageRoom::kQuestion);
  NftMessage question(room, NFT_MSG_GETRULE, NLM_F_DUMP, static_cast<std::uint8_t>(table.family));
  question.text(NFTA_RULE_TABLE, table.name);
  question.text(NFTA_RULE_CHAIN, chain);
  const auto attempt = [&] {
    return fmt::format("cannot list the rules of the chain '{}' of the table '{}'",
                       printable(chain), name_of(table));
  };
  bool refuses = false;
  socket.request(question.header(), attempt,
                 [&](const nlmsghdr* rule) { refuses = refuses_all(NftAttributes(rule)); });
  return refuses;
}

}  // namespace sbx::detail
