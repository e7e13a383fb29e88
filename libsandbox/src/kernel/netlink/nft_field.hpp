// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sbx/nftables.hpp"

namespace sbx::detail {

/// The expression that loads a field into a register.
enum class FieldSource { kMeta, kConnection, kOriginal, kReply, kPayload, kRoute };

/// What a packet must be for the field to mean what it says.
enum class FieldNeeds { kNothing, kIpv4, kIpv6, kPorts, kIcmp };

struct FieldShape {
  FieldSource source;
  std::uint32_t key;     ///< NFT_META_*, NFT_CT_* or NFT_PAYLOAD_*_HEADER
  std::uint32_t offset;  ///< in that header
  std::uint32_t bytes;
  FieldNeeds needs = FieldNeeds::kNothing;
};

const FieldShape& shape_of(nft::Field field);

struct TypeShape {
  std::uint32_t number;  ///< nft(8)'s, to which the kernel is indifferent
  std::uint32_t bytes;
  bool host_order = false;
};

const TypeShape& shape_of(nft::Type type);

/// A part of a concatenation starts at a register of its own.
constexpr std::uint32_t kRegisterBytes = 4;
constexpr std::uint32_t registers(std::uint32_t bytes) {
  return (bytes + kRegisterBytes - 1) / kRegisterBytes;
}

/// "inet", "ip" and so on.
const char* name_of(nft::Family family);

/// "inet sandbox", as it may stand in a message.
std::string name_of(const nft::Table& table);

}  // namespace sbx::detail
