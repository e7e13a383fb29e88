// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_attributes.hpp"

#include <endian.h>
#include <linux/netfilter/nf_tables.h>

#include <cstring>

#include "kernel/netlink/mnl.hpp"

namespace sbx::detail {

NftAttributes::NftAttributes(const nlmsghdr* message) {
  mnl().attr_parse(message, sizeof(nfgenmsg), keep, &all_);
}

NftAttributes::NftAttributes(const nlattr* nest) {
  if (nest != nullptr) mnl().attr_parse_nested(nest, keep, &all_);
}

int NftAttributes::keep(const nlattr* attribute, void* all) {
  auto& kept = *static_cast<decltype(all_)*>(all);
  const std::uint16_t type = mnl().attr_get_type(attribute);
  if (type < kept.size()) kept[type] = attribute;
  return MNL_CB_OK;
}

std::span<const std::uint8_t> NftAttributes::bytes(std::uint16_t type) const {
  const nlattr* attribute = find(type);
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(mnl().attr_get_payload(attribute)),
          mnl().attr_get_payload_len(attribute)};
}

std::string NftAttributes::text(std::uint16_t type) const {
  const auto found = bytes(type);
  const auto* start = reinterpret_cast<const char*>(found.data());
  return found.empty() ? std::string() : std::string(start, ::strnlen(start, found.size()));
}

std::uint32_t NftAttributes::number(std::uint16_t type) const {
  std::uint32_t value = 0;
  const auto found = bytes(type);
  if (found.size() == sizeof value) std::memcpy(&value, found.data(), sizeof value);
  return be32toh(value);
}

std::uint64_t NftAttributes::number64(std::uint16_t type) const {
  std::uint64_t value = 0;
  const auto found = bytes(type);
  if (found.size() == sizeof value) std::memcpy(&value, found.data(), sizeof value);
  return be64toh(value);
}

void for_each_attribute(const nlattr* nest, const std::function<void(const nlattr*)>& body) {
  if (nest == nullptr) return;
  const auto pass = [](const nlattr* attribute, void* function) {
    (*static_cast<const std::function<void(const nlattr*)>*>(function))(attribute);
    return MNL_CB_OK;
  };
  mnl().attr_parse_nested(nest, pass, const_cast<void*>(static_cast<const void*>(&body)));
}

nft::Counter read_counter(const NftAttributes& attributes) {
  return {.packets = attributes.number64(NFTA_COUNTER_PACKETS),
          .bytes = attributes.number64(NFTA_COUNTER_BYTES)};
}

nft::Family family_of(const nlmsghdr* message) {
  const auto* about = static_cast<const nfgenmsg*>(mnl().nlmsg_get_payload(message));
  return static_cast<nft::Family>(about->nfgen_family);
}

}  // namespace sbx::detail
