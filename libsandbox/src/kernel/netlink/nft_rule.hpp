// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernel/netlink/nft_message.hpp"
#include "sbx/nftables.hpp"

namespace sbx::nft {

/// What a rule is made of, as plain data: how each is told to the kernel is write_rule's affair.
struct Rule::Part {
  /// The field starts with these bytes; with all of them, it is equal.
  struct Compare {
    Field field;
    bool differs;
    std::vector<std::uint8_t> bytes;
  };

  /// The bits of `mask` are those of `bytes`.
  struct CompareMasked {
    Field field;
    bool differs;
    std::vector<std::uint8_t> mask;
    std::vector<std::uint8_t> bytes;
  };

  struct Lookup {
    std::vector<Field> fields;
    bool absent;
    std::string set;
  };

  struct Count {};

  struct CountByName {
    std::string object;
  };

  struct Over {
    bool of_bytes;
    std::uint64_t per_second;
    std::uint32_t burst;
  };

  struct ConnectionsOver {
    std::vector<Field> fields;
    std::string set;
    std::uint32_t most;
  };

  struct Mark {
    std::uint32_t mark;
  };

  struct Decide {
    Verdict verdict;
  };

  struct DecideByMap {
    std::vector<Field> fields;
    std::string map;
  };

  struct Reject {};
  struct Reset {};
  struct Masquerade {};

  struct Translate {
    bool source;
    IpAddress address;
    std::optional<std::uint16_t> port;
  };

  struct TranslateByMap {
    IpFamily family;
    std::vector<Field> fields;
    std::string map;
    bool with_port;
  };

  std::variant<Compare, CompareMasked, Lookup, Count, CountByName, Over, ConnectionsOver, Mark,
               Decide, DecideByMap, Reject, Reset, Masquerade, Translate, TranslateByMap>
      what;
};

}  // namespace sbx::nft

namespace sbx::detail {

/// Adds the rule's expressions, those included that see to it that a packet has the fields which
/// are looked at. Throws std::invalid_argument for a field that packets of `table` never have.
void write_rule(NftMessage& message, const nft::Table& table, const nft::Rule& rule);

}  // namespace sbx::detail
