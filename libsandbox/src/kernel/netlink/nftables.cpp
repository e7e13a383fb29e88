// SPDX-License-Identifier: Apache-2.0
#include "sbx/nftables.hpp"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "kernel/netlink/nft_attributes.hpp"
#include "kernel/netlink/nft_batch.hpp"
#include "kernel/netlink/nft_chain.hpp"
#include "kernel/netlink/nft_elements.hpp"
#include "kernel/netlink/nft_field.hpp"
#include "sys/error.hpp"

namespace sbx::nft {

using detail::Attempt;
using detail::name_of;
using detail::NftAttributes;
using detail::NftMessage;
using detail::printable;

namespace {

constexpr int kTries = 100;

struct TablesReader {
  std::vector<Table> tables{};

  void read(const nlmsghdr* message) {
    tables.push_back({detail::family_of(message), NftAttributes(message).text(NFTA_TABLE_NAME)});
  }
};

struct ChainsReader {
  std::vector<FoundChain> chains{};

  void read(const nlmsghdr* message) { chains.push_back(detail::read_chain(message)); }
};

Attempt reading(const Table& table, const Set& set) {
  return [table, name = set.name] {
    return fmt::format("cannot read the set '{}' of the table '{}'", printable(name),
                       name_of(table));
  };
}

}  // namespace

struct Nftables::State {
  detail::NetlinkSocket socket;
  detail::MessageRoom room{detail::MessageRoom::kQuestion};

  NftMessage start(const Table& table, int type, int flags) {
    return {room, type, flags, static_cast<std::uint8_t>(table.family)};
  }

  NftMessage start_elements(const Table& table, const Set& set, int flags) {
    NftMessage message = start(table, NFT_MSG_GETSETELEM, flags);
    message.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    message.text(NFTA_SET_ELEM_LIST_SET, set.name);
    return message;
  }

  /// A copy of `fresh` that has read all messages of the answer, between which nothing has changed.
  template <typename Reader>
  Reader dump(const NftMessage& question, const Attempt& attempt, const Reader& fresh) {
    for (int tries = 0; tries < kTries; ++tries) {
      Reader reader = fresh;
      bool changed = false;
      socket.request(question.header(), attempt, [&](const nlmsghdr* message) {
        changed = changed || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        reader.read(message);
      });
      if (!changed) return reader;
    }
    throw SystemError(EINTR, attempt());
  }

  /// ENOENT when the set is not there.
  void require_set(const Table& table, const Set& set);

  /// The element that `key` belongs to or, with NFT_SET_ELEM_INTERVAL_END in `flags`, the end of an
  /// interval; nothing where there is none.
  detail::ElementReader ask(const Table& table, const Set& set, const detail::Octets& key,
                            std::uint32_t flags);

  /// Of an interval of one field that was found by `key`.
  void find_last(Element& found, const Table& table, const Set& set, const detail::Octets& key);
};

void Nftables::State::require_set(const Table& table, const Set& set) {
  NftMessage question = start(table, NFT_MSG_GETSET, 0);
  question.text(NFTA_SET_TABLE, table.name);
  question.text(NFTA_SET_NAME, set.name);
  socket.request(question.header(), reading(table, set), [](const nlmsghdr*) {});
}

detail::ElementReader Nftables::State::ask(const Table& table, const Set& set,
                                           const detail::Octets& key, std::uint32_t flags) {
  // For an end that is not there Linux 6.18 has neither an answer nor an error.
  NftMessage question = start_elements(table, set, NLM_F_ACK);
  {
    const NftMessage::Nest list = question.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    const NftMessage::Nest element = question.nest(NFTA_LIST_ELEM);
    question.value(NFTA_SET_ELEM_KEY, key);
    if (flags != 0) question.number(NFTA_SET_ELEM_FLAGS, flags);
  }
  detail::ElementReader reader(set);
  try {
    socket.request(question.header(), reading(table, set),
                   [&](const nlmsghdr* message) { reader.read(message); });
  } catch (const SystemError& error) {
    if (error.code().value() != ENOENT) throw;
  }
  return reader;
}

void Nftables::State::find_last(Element& found, const Table& table, const Set& set,
                                const detail::Octets& key) {
  const detail::Octets start = found.key.bytes();
  // The kernel looks for the first end after a value, but is at a loss where an interval starts
  // there: it may find the end before, or the one after the next.
  const auto inside = key == start ? detail::value_after(key) : key;
  if (!inside) return;
  const auto end = ask(table, set, *inside, NFT_SET_ELEM_INTERVAL_END).end();
  const detail::Octets last = detail::last_value(start, end);
  const auto owner = ask(table, set, last, 0).start();
  // It belongs to another one only where that starts right after this one's only value.
  const bool own = owner && owner->key == found.key;
  if (own && last != start) found.key_end = detail::read_value(set.key, last);
}

Nftables::Nftables()
    : state_(std::make_unique<State>(State{detail::NetlinkSocket(NETLINK_NETFILTER)})) {}

Nftables::Nftables(const Namespace& network)
    : state_(std::make_unique<State>(State{detail::NetlinkSocket(NETLINK_NETFILTER, network)})) {}

Nftables::Nftables(Nftables&&) noexcept = default;
Nftables& Nftables::operator=(Nftables&&) noexcept = default;
Nftables::~Nftables() = default;

void Nftables::commit(const Batch& batch) {
  if (!batch.empty()) state_->socket.send(batch.messages_->all, batch.messages_->end);
}

std::vector<Table> Nftables::tables() const {
  const NftMessage question(state_->room, NFT_MSG_GETTABLE, NLM_F_DUMP, 0);
  const auto attempt = [] { return "cannot list the tables of the packet filter"; };
  return state_->dump(question, attempt, TablesReader()).tables;
}

std::vector<FoundChain> Nftables::chains() const {
  const NftMessage question(state_->room, NFT_MSG_GETCHAIN, NLM_F_DUMP, 0);
  const auto attempt = [] { return "cannot list the chains of the packet filter"; };
  return state_->dump(question, attempt, ChainsReader()).chains;
}

std::vector<Element> Nftables::elements(const Table& table, const Set& set) const {
  const NftMessage question = state_->start_elements(table, set, NLM_F_DUMP);
  return state_->dump(question, reading(table, set), detail::ElementReader(set)).elements();
}

std::optional<Element> Nftables::element(const Table& table, const Set& set,
                                         const Value& key) const {
  auto found = state_->ask(table, set, key.bytes(), 0).start();
  if (!found) {
    state_->require_set(table, set);
  } else if (detail::has_ends_apart(set)) {
    state_->find_last(*found, table, set, key.bytes());
  }
  return found;
}

Counter Nftables::counter(const Table& table, const std::string& name) const {
  NftMessage question = state_->start(table, NFT_MSG_GETOBJ, 0);
  question.text(NFTA_OBJ_TABLE, table.name);
  question.text(NFTA_OBJ_NAME, name);
  question.number(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
  Counter counter;
  const auto attempt = [&] {
    return fmt::format("cannot read the counter '{}' of the table '{}'", printable(name),
                       name_of(table));
  };
  state_->socket.request(question.header(), attempt, [&](const nlmsghdr* message) {
    counter = detail::read_counter(NftAttributes(message).nest(NFTA_OBJ_DATA));
  });
  return counter;
}

OwnedTable::OwnedTable(Nftables& conversation, Table table) : table_(std::move(table)) {
  Batch batch;
  conversation.commit(batch.create(table_));
  conversation_ = &conversation;
}

OwnedTable::OwnedTable(OwnedTable&& other) noexcept
    : conversation_(std::exchange(other.conversation_, nullptr)), table_(std::move(other.table_)) {}

OwnedTable& OwnedTable::operator=(OwnedTable&& other) noexcept {
  // What was owned goes with the object that it is swapped into.
  OwnedTable taken(std::move(other));
  std::swap(conversation_, taken.conversation_);
  std::swap(table_, taken.table_);
  return *this;
}

OwnedTable::~OwnedTable() {
  if (conversation_ == nullptr) return;
  try {
    Batch batch;
    conversation_->commit(batch.remove(table_));
  } catch (const std::exception&) {
    // Gone already, or with its namespace.
  }
}

}  // namespace sbx::nft
