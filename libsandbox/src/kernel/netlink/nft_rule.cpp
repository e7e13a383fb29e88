// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_rule.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>
#include <utility>

#include "kernel/netlink/nft_field.hpp"
#include "sys/error.hpp"

namespace sbx::nft {
namespace {

using Part = Rule::Part;

template <typename What>
std::shared_ptr<const Part> part(What what) {
  return std::make_shared<const Part>(Part{std::move(what)});
}

void check_size(Field field, std::size_t bytes) {
  const std::size_t expected = detail::shape_of(field).bytes;
  if (bytes == expected) return;
  throw std::invalid_argument(fmt::format(
      "a value of {} bytes cannot be that of a field of a packet that has {}", bytes, expected));
}

std::shared_ptr<const Part> compare(Field field, bool differs, const Value& value) {
  auto bytes = value.bytes();
  check_size(field, bytes.size());
  return part(Part::Compare{field, differs, std::move(bytes)});
}

std::shared_ptr<const Part> compare_start(Field name, bool differs, std::string_view prefix) {
  auto bytes = Value().add_name(prefix).bytes();
  check_size(name, bytes.size());
  if (prefix.empty()) throw std::invalid_argument("every name starts with an empty one");
  bytes.resize(prefix.size());
  return part(Part::Compare{name, differs, std::move(bytes)});
}

std::shared_ptr<const Part> compare_block(Field address, bool differs, const IpPrefix& block) {
  if (block.length > block.address.bits()) {
    throw std::invalid_argument(
        fmt::format("a block of addresses cannot have the length {}", block.length));
  }
  const IpAddress first = block.first();
  const auto bytes = first.bytes();
  check_size(address, bytes.size());
  // As nft(8) does: of whole bytes only those are loaded.
  const std::size_t whole = block.length / 8;
  std::vector<std::uint8_t> start(bytes.begin(), bytes.end());
  if (block.length > 0 && block.length % 8 == 0) {
    start.resize(whole);
    return part(Part::Compare{address, differs, std::move(start)});
  }
  std::vector<std::uint8_t> mask(bytes.size());
  std::memset(mask.data(), 0xff, whole);
  mask[whole] = static_cast<std::uint8_t>(0xff00U >> (block.length % 8));
  return part(Part::CompareMasked{address, differs, std::move(mask), std::move(start)});
}

}  // namespace

Rule& Rule::equals(Field field, const Value& value) {
  parts_.push_back(compare(field, false, value));
  return *this;
}

Rule& Rule::differs(Field field, const Value& value) {
  parts_.push_back(compare(field, true, value));
  return *this;
}

Rule& Rule::starts_with(Field name, std::string_view prefix) {
  parts_.push_back(compare_start(name, false, prefix));
  return *this;
}

Rule& Rule::starts_otherwise(Field name, std::string_view prefix) {
  parts_.push_back(compare_start(name, true, prefix));
  return *this;
}

Rule& Rule::within(Field address, const IpPrefix& block) {
  parts_.push_back(compare_block(address, false, block));
  return *this;
}

Rule& Rule::outside(Field address, const IpPrefix& block) {
  parts_.push_back(compare_block(address, true, block));
  return *this;
}

Rule& Rule::has_any(Field bits, std::uint32_t mask) {
  check_size(bits, sizeof mask);
  parts_.push_back(part(Part::CompareMasked{bits, true, Value().add_number(mask).bytes(),
                                            Value().add_number(0).bytes()}));
  return *this;
}

Rule& Rule::in(std::vector<Field> fields, std::string set) {
  parts_.push_back(part(Part::Lookup{std::move(fields), false, std::move(set)}));
  return *this;
}

Rule& Rule::not_in(std::vector<Field> fields, std::string set) {
  parts_.push_back(part(Part::Lookup{std::move(fields), true, std::move(set)}));
  return *this;
}

Rule& Rule::counter() {
  parts_.push_back(part(Part::Count{}));
  return *this;
}

Rule& Rule::counter(std::string object) {
  parts_.push_back(part(Part::CountByName{std::move(object)}));
  return *this;
}

Rule& Rule::rate_over(std::uint64_t bytes_per_second, std::uint32_t burst_bytes) {
  parts_.push_back(part(Part::Over{true, bytes_per_second, burst_bytes}));
  return *this;
}

Rule& Rule::packets_over(std::uint64_t per_second, std::uint32_t burst) {
  parts_.push_back(part(Part::Over{false, per_second, burst}));
  return *this;
}

Rule& Rule::connections_over(std::vector<Field> fields, std::string set, std::uint32_t most) {
  parts_.push_back(part(Part::ConnectionsOver{std::move(fields), std::move(set), most}));
  return *this;
}

Rule& Rule::set_mark(std::uint32_t mark) {
  parts_.push_back(part(Part::Mark{mark}));
  return *this;
}

Rule& Rule::verdict(Verdict verdict) {
  parts_.push_back(part(Part::Decide{std::move(verdict)}));
  return *this;
}

Rule& Rule::verdict_map(std::vector<Field> fields, std::string map) {
  parts_.push_back(part(Part::DecideByMap{std::move(fields), std::move(map)}));
  return *this;
}

Rule& Rule::reject() {
  parts_.push_back(part(Part::Reject{}));
  return *this;
}

Rule& Rule::reset() {
  parts_.push_back(part(Part::Reset{}));
  return *this;
}

Rule& Rule::masquerade() {
  parts_.push_back(part(Part::Masquerade{}));
  return *this;
}

Rule& Rule::source_nat(const IpAddress& address) {
  parts_.push_back(part(Part::Translate{true, address, {}}));
  return *this;
}

Rule& Rule::destination_nat(const IpAddress& address, std::optional<std::uint16_t> port) {
  parts_.push_back(part(Part::Translate{false, address, port}));
  return *this;
}

Rule& Rule::destination_nat_map(IpFamily family, std::vector<Field> fields, std::string map,
                                bool with_port) {
  parts_.push_back(
      part(Part::TranslateByMap{family, std::move(fields), std::move(map), with_port}));
  return *this;
}

}  // namespace sbx::nft
