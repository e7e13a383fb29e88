// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_batch.hpp"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cassert>
#include <span>
#include <stdexcept>
#include <utility>

#include "kernel/netlink/nft_chain.hpp"
#include "kernel/netlink/nft_elements.hpp"
#include "kernel/netlink/nft_expression.hpp"
#include "kernel/netlink/nft_field.hpp"
#include "kernel/netlink/nft_rule.hpp"
#include "sys/error.hpp"

namespace sbx::nft {

using detail::Attempt;
using detail::name_of;
using detail::NftMessage;
using detail::printable;

namespace {

constexpr std::uint32_t kTypeBits = 6;  // of each type of a concatenation, in nft(8)'s numbers

/// With `attempt` as in "cannot add the chain '{}' to the table '{}'".
Attempt in_table(const char* attempt, const std::string& name, const Table& table) {
  return [=] { return fmt::format(fmt::runtime(attempt), printable(name), name_of(table)); };
}

Attempt with_table(const char* attempt, const Table& table) {
  return [=] { return fmt::format(fmt::runtime(attempt), name_of(table)); };
}

std::string change_filter() { return "cannot change the packet filter"; }

struct TypesShape {
  std::uint32_t number = 0;
  std::uint32_t bytes = 0;
};

TypesShape shape_of(const std::vector<Type>& types) {
  TypesShape all;
  for (const Type type : types) {
    const auto& one = detail::shape_of(type);
    all.number = (all.number << kTypeBits) | one.number;
    const bool alone = types.size() == 1;
    all.bytes += alone ? one.bytes : detail::registers(one.bytes) * detail::kRegisterBytes;
  }
  return all;
}

std::uint32_t flags_of(const Set& set) {
  std::uint32_t flags = 0;
  if (set.intervals) flags |= NFT_SET_INTERVAL;
  // The kernel wants to know of parts only where each has an interval of its own.
  if (set.intervals && set.key.size() > 1) flags |= NFT_SET_CONCAT;
  if (set.verdicts || !set.data.empty()) flags |= NFT_SET_MAP;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  return flags;
}

void write_description(NftMessage& message, const Set& set) {
  const NftMessage::Nest description = message.nest(NFTA_SET_DESC);
  if (set.max_size != 0) message.number(NFTA_SET_DESC_SIZE, set.max_size);
  if (!set.intervals || set.key.size() == 1) return;
  const NftMessage::Nest parts = message.nest(NFTA_SET_DESC_CONCAT);
  for (const Type type : set.key) {
    const NftMessage::Nest part = message.nest(NFTA_LIST_ELEM);
    message.number(NFTA_SET_FIELD_LEN, detail::shape_of(type).bytes);
  }
}

/// What nft(8) keeps with a set, to be able to show it: in which order the bytes of keys and of
/// data are. A number, its size in bytes, and the order: 1 is the machine's, 2 that of the network.
void write_byte_orders(NftMessage& message, const Set& set) {
  std::vector<std::uint8_t> notes;
  const auto note = [&](std::uint8_t what, const std::vector<Type>& types) {
    if (types.size() != 1) return;
    const auto order = Value().add_number(detail::shape_of(types[0]).host_order ? 1 : 2).bytes();
    notes.insert(notes.end(), {what, static_cast<std::uint8_t>(order.size())});
    notes.insert(notes.end(), order.begin(), order.end());
  };
  note(0, set.key);
  note(1, set.data);
  if (!notes.empty()) message.bytes(NFTA_SET_USERDATA, notes);
}

void write_set(NftMessage& message, const Table& table, const Set& set, std::uint32_t id) {
  const TypesShape key = shape_of(set.key);
  message.text(NFTA_SET_TABLE, table.name);
  message.text(NFTA_SET_NAME, set.name);
  message.number(NFTA_SET_ID, id);
  message.number(NFTA_SET_FLAGS, flags_of(set));
  message.number(NFTA_SET_KEY_TYPE, key.number);
  message.number(NFTA_SET_KEY_LEN, key.bytes);
  if (set.verdicts) {
    message.number(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
  } else if (!set.data.empty()) {
    const TypesShape data = shape_of(set.data);
    message.number(NFTA_SET_DATA_TYPE, data.number);
    message.number(NFTA_SET_DATA_LEN, data.bytes);
  }
  write_description(message, set);
  write_byte_orders(message, set);
  if (set.counters) detail::counter_expression(message, NFTA_SET_EXPR, {});
}

/// Names the element, when it is one, or says how many: "the element 0a000001" or "3 elements".
Attempt of_elements(const char* attempt, const Table& table, const Set& set,
                    const std::vector<Element>& elements) {
  const auto tell = [=, name = set.name](const std::string& what) {
    return fmt::format(fmt::runtime(attempt), what, printable(name), name_of(table));
  };
  if (elements.size() != 1) {
    return [=, size = elements.size()] { return tell(fmt::format("{} elements", size)); };
  }
  return [=, key = elements.front().key] {
    return tell(fmt::format("the element {}", key.to_string()));
  };
}

}  // namespace

Batch::Messages::Messages() {
  all.append(NftMessage::batch(room, NFNL_MSG_BATCH_BEGIN).header(), change_filter);
  const NftMessage mark = NftMessage::batch(room, NFNL_MSG_BATCH_END);
  end.assign(room.data(), room.data() + mark.size());
}

NftMessage Batch::Messages::start(const Table& table, int type, int flags) {
  return {room, type, flags, static_cast<std::uint8_t>(table.family)};
}

void Batch::Messages::add(const NftMessage& message, Attempt attempt) {
  all.append(message.header(), std::move(attempt));
  ++changes;
}

void Batch::Messages::add_elements(const ElementsChange& change, const Table& table, const Set& set,
                                   const std::vector<Element>& elements) {
  const Attempt attempt = of_elements(change.attempt, table, set, elements);
  std::span<const Element> left(elements);
  while (!left.empty()) {
    NftMessage message = start(table, change.type, change.flags);
    message.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    message.text(NFTA_SET_ELEM_LIST_SET, set.name);
    {
      const NftMessage::Nest list = message.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
      left = left.subspan(detail::write_elements(message, set, change.part, left));
    }
    add(message, attempt);
  }
}

Batch::Batch() : messages_(std::make_unique<Messages>()) {}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

bool Batch::empty() const noexcept { return messages_->changes == 0; }

Batch& Batch::add(const Table& table) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  message.text(NFTA_TABLE_NAME, table.name);
  messages_->add(message, with_table("cannot add the table '{}'", table));
  return *this;
}

Batch& Batch::create(const Table& table) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  message.text(NFTA_TABLE_NAME, table.name);
  messages_->add(message, with_table("cannot create the table '{}'", table));
  return *this;
}

Batch& Batch::add(const Table& table, const Chain& chain) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  detail::write_chain(message, table, chain);
  messages_->add(message,
                 in_table("cannot add the chain '{}' to the table '{}'", chain.name, table));
  return *this;
}

Batch& Batch::add(const Table& table, const Set& set) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWSET, NLM_F_CREATE);
  write_set(message, table, set, messages_->changes);
  messages_->add(message, in_table("cannot add the set '{}' to the table '{}'", set.name, table));
  return *this;
}

Batch& Batch::add(const Table& table, const Set& set, const std::vector<Element>& elements) {
  constexpr ElementsChange kAdd{NFT_MSG_NEWSETELEM, NLM_F_CREATE, detail::ElementPart::kAll,
                                "cannot add {} to the set '{}' of the table '{}'"};
  messages_->add_elements(kAdd, table, set, elements);
  return *this;
}

Batch& Batch::add(const Table& table, const std::string& chain, const Rule& rule) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.text(NFTA_RULE_TABLE, table.name);
  message.text(NFTA_RULE_CHAIN, chain);
  detail::write_rule(message, table, rule);
  messages_->add(message,
                 in_table("cannot add a rule to the chain '{}' of the table '{}'", chain, table));
  return *this;
}

Batch& Batch::add_counter(const Table& table, const std::string& name) {
  NftMessage message = messages_->start(table, NFT_MSG_NEWOBJ, NLM_F_CREATE);
  message.text(NFTA_OBJ_TABLE, table.name);
  message.text(NFTA_OBJ_NAME, name);
  message.number(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
  (void)message.nest(NFTA_OBJ_DATA);
  messages_->add(message, in_table("cannot add the counter '{}' to the table '{}'", name, table));
  return *this;
}

Batch& Batch::remove(const Table& table) {
  NftMessage message = messages_->start(table, NFT_MSG_DELTABLE, 0);
  message.text(NFTA_TABLE_NAME, table.name);
  messages_->add(message, with_table("cannot remove the table '{}'", table));
  return *this;
}

Batch& Batch::remove_chain(const Table& table, const std::string& chain) {
  NftMessage message = messages_->start(table, NFT_MSG_DELCHAIN, 0);
  message.text(NFTA_CHAIN_TABLE, table.name);
  message.text(NFTA_CHAIN_NAME, chain);
  messages_->add(message, in_table("cannot remove the chain '{}' of the table '{}'", chain, table));
  return *this;
}

Batch& Batch::remove_set(const Table& table, const std::string& set) {
  NftMessage message = messages_->start(table, NFT_MSG_DELSET, 0);
  message.text(NFTA_SET_TABLE, table.name);
  message.text(NFTA_SET_NAME, set);
  messages_->add(message, in_table("cannot remove the set '{}' of the table '{}'", set, table));
  return *this;
}

Batch& Batch::remove(const Table& table, const Set& set, const std::vector<Element>& elements) {
  constexpr ElementsChange kRemove{NFT_MSG_DELSETELEM, 0, detail::ElementPart::kKey,
                                   "cannot remove {} of the set '{}' of the table '{}'"};
  messages_->add_elements(kRemove, table, set, elements);
  return *this;
}

Batch& Batch::flush_chain(const Table& table, const std::string& chain) {
  NftMessage message = messages_->start(table, NFT_MSG_DELRULE, 0);
  message.text(NFTA_RULE_TABLE, table.name);
  message.text(NFTA_RULE_CHAIN, chain);
  messages_->add(message, in_table("cannot empty the chain '{}' of the table '{}'", chain, table));
  return *this;
}

Batch& Batch::flush_set(const Table& table, const std::string& set) {
  NftMessage message = messages_->start(table, NFT_MSG_DELSETELEM, 0);
  message.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
  message.text(NFTA_SET_ELEM_LIST_SET, set);
  messages_->add(message, in_table("cannot empty the set '{}' of the table '{}'", set, table));
  return *this;
}

}  // namespace sbx::nft
