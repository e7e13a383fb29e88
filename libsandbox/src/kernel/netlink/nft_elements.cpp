// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_elements.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "kernel/netlink/nft_attributes.hpp"
#include "kernel/netlink/nft_expression.hpp"
#include "kernel/netlink/nft_field.hpp"

namespace sbx::detail {
namespace {

using nft::Element;
using nft::Set;
using nft::Type;
using nft::Value;
using nft::Verdict;

// One element adds some hundred bytes.
constexpr std::size_t kFull = MessageRoom::kLargest / 2;

void write_data(NftMessage& message, const Element& element) {
  if (const auto* value = std::get_if<Value>(&element.data)) {
    message.value(NFTA_SET_ELEM_DATA, value->bytes());
  } else if (const auto* verdict = std::get_if<Verdict>(&element.data)) {
    message.verdict(NFTA_SET_ELEM_DATA, *verdict);
  }
}

void write_element(NftMessage& message, const Set& set, ElementPart part, const Element& element) {
  const NftMessage::Nest nest = message.nest(NFTA_LIST_ELEM);
  message.value(NFTA_SET_ELEM_KEY, element.key.bytes());
  if (element.key_end && !has_ends_apart(set)) {
    message.value(NFTA_SET_ELEM_KEY_END, element.key_end->bytes());
  }
  if (part == ElementPart::kKey) return;
  write_data(message, element);
  if (element.counter) counter_expression(message, NFTA_SET_ELEM_EXPR, *element.counter);
}

void write_end(NftMessage& message, const Element& element) {
  const auto end = value_after(element.key_end.value_or(element.key).bytes());
  if (!end) return;
  const NftMessage::Nest nest = message.nest(NFTA_LIST_ELEM);
  message.value(NFTA_SET_ELEM_KEY, *end);
  message.number(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
}

void add_typed(Value& value, Type type, Bytes bytes) {
  std::uint32_t number = 0;
  switch (type) {
    case Type::kIpv4:
      value.add(IpAddress(bytes.first<4>()));
      break;
    case Type::kIpv6:
      value.add(IpAddress(bytes.first<16>()));
      break;
    case Type::kMac: {
      MacAddress mac;
      std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
      value.add(mac);
      break;
    }
    case Type::kPort:
      value.add_port(static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]));
      break;
    case Type::kProtocol:
    case Type::kDirection:
      value.add_byte(bytes[0]);
      break;
    case Type::kMark:
    case Type::kInterface:
      std::memcpy(&number, bytes.data(), sizeof number);
      value.add_number(number);
      break;
    case Type::kInterfaceName: {
      const auto* name = reinterpret_cast<const char*>(bytes.data());
      value.add_name({name, ::strnlen(name, bytes.size())});
      break;
    }
  }
}

Verdict read_verdict(const NftAttributes& attributes) {
  using Kind = Verdict::Kind;
  static const auto& kinds = *new std::map<int, Kind>{
      {NF_ACCEPT, Kind::kAccept},  {NF_DROP, Kind::kDrop},  {NFT_CONTINUE, Kind::kContinue},
      {NFT_RETURN, Kind::kReturn}, {NFT_JUMP, Kind::kJump}, {NFT_GOTO, Kind::kGoto}};
  const auto kind = kinds.find(static_cast<int>(attributes.number(NFTA_VERDICT_CODE)));
  return {kind == kinds.end() ? Kind::kContinue : kind->second,
          attributes.text(NFTA_VERDICT_CHAIN)};
}

std::optional<nft::Counter> find_counter(const NftAttributes& element) {
  const NftAttributes expression = element.nest(NFTA_SET_ELEM_EXPR);
  if (expression.text(NFTA_EXPR_NAME) != "counter") return {};
  return read_counter(expression.nest(NFTA_EXPR_DATA));
}

}  // namespace

std::optional<Octets> value_after(Octets value) {
  for (auto byte = value.rbegin(); byte != value.rend(); ++byte) {
    if (++*byte != 0) return value;
  }
  return {};
}

Octets last_value(const Octets& start, const std::optional<Octets>& end) {
  if (!end) return Octets(start.size(), 0xff);
  Octets last = *end;
  for (auto byte = last.rbegin(); byte != last.rend(); ++byte) {
    if ((*byte)-- != 0) break;
  }
  return last;
}

Value read_value(const std::vector<Type>& types, Bytes bytes) {
  Value value;
  for (const Type type : types) {
    const std::size_t size = shape_of(type).bytes;
    if (bytes.size() < size) break;  // a set of that name, but not of these types
    add_typed(value, type, bytes.first(size));
    bytes = bytes.subspan(std::min<std::size_t>(
        bytes.size(), std::size_t{registers(shape_of(type).bytes)} * kRegisterBytes));
  }
  return value;
}

bool has_ends_apart(const Set& set) { return set.intervals && set.key.size() == 1; }

std::size_t write_elements(NftMessage& message, const Set& set, ElementPart part,
                           std::span<const Element> elements) {
  std::size_t written = 0;
  while (written < elements.size() && message.size() < kFull) {
    write_element(message, set, part, elements[written]);
    if (has_ends_apart(set)) write_end(message, elements[written]);
    ++written;
  }
  return written;
}

void ElementReader::read(const nlmsghdr* message) {
  const NftAttributes list(message);
  for_each_attribute(list.find(NFTA_SET_ELEM_LIST_ELEMENTS),
                     [&](const nlattr* element) { read_element(element); });
}

void ElementReader::read_element(const nlattr* attribute) {
  const NftAttributes found(attribute);
  const auto key = found.nest(NFTA_SET_ELEM_KEY).bytes(NFTA_DATA_VALUE);
  if ((found.number(NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0) {
    ends_.emplace_back(key.begin(), key.end());
    return;
  }
  Element element{.key = read_value(set_.key, key), .counter = find_counter(found)};
  const auto end = found.nest(NFTA_SET_ELEM_KEY_END).bytes(NFTA_DATA_VALUE);
  if (!end.empty() && !std::equal(end.begin(), end.end(), key.begin(), key.end())) {
    element.key_end = read_value(set_.key, end);
  }
  const NftAttributes data = found.nest(NFTA_SET_ELEM_DATA);
  if (data.has(NFTA_DATA_VERDICT)) {
    element.data = read_verdict(data.nest(NFTA_DATA_VERDICT));
  } else if (data.has(NFTA_DATA_VALUE)) {
    element.data = read_value(set_.data, data.bytes(NFTA_DATA_VALUE));
  }
  elements_.push_back(std::move(element));
}

/// Each interval lasts until the first end after its start; without one it has no end.
void ElementReader::close_intervals() {
  std::sort(ends_.begin(), ends_.end());
  std::sort(elements_.begin(), elements_.end(),
            [](const Element& a, const Element& b) { return a.key < b.key; });
  for (Element& element : elements_) {
    const Octets start = element.key.bytes();
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), start);
    const Octets last = last_value(start, end == ends_.end() ? std::nullopt : std::optional(*end));
    if (last != start) element.key_end = read_value(set_.key, last);
  }
}

std::vector<Element> ElementReader::elements() {
  if (has_ends_apart(set_)) close_intervals();
  return std::move(elements_);
}

std::optional<Element> ElementReader::start() const {
  return elements_.empty() ? std::nullopt : std::optional(elements_.front());
}

std::optional<Octets> ElementReader::end() const {
  return ends_.empty() ? std::nullopt : std::optional(ends_.front());
}

}  // namespace sbx::detail
