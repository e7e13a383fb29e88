// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernel/netlink/nft_message.hpp"
#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Whether elements are kept as where an interval starts and where the next gap does. (Those of
/// concatenations have both their ends in them.)
bool has_ends_apart(const nft::Set& set);

using Octets = std::vector<std::uint8_t>;

/// The next value in network order, none after the highest.
std::optional<Octets> value_after(Octets value);

/// The last value of an interval that starts at `start` and stops before `end`.
Octets last_value(const Octets& start, const std::optional<Octets>& end);

/// What comes in registers, as a value of these types.
nft::Value read_value(const std::vector<nft::Type>& types, std::span<const std::uint8_t> bytes);

/// An element with all that it has, or only what says which it is.
enum class ElementPart { kAll, kKey };

/// Puts as many elements as one message should have into the list that is open, and returns how
/// many.
std::size_t write_elements(NftMessage& message, const nft::Set& set, ElementPart part,
                           std::span<const nft::Element> elements);

/// Puts together what the kernel has of a set.
class ElementReader {
 public:
  explicit ElementReader(const nft::Set& set) : set_(set) {}

  /// Takes the elements of one message.
  void read(const nlmsghdr* message);

  /// All, in the order of their keys where they are intervals of one field.
  std::vector<nft::Element> elements();

  // Of the answer about one element, which has one of both.
  [[nodiscard]] std::optional<nft::Element> start() const;
  [[nodiscard]] std::optional<Octets> end() const;

 private:
  void read_element(const nlattr* attribute);
  void close_intervals();

  const nft::Set& set_;
  std::vector<nft::Element> elements_;
  std::vector<Octets> ends_;
};

}  // namespace sbx::detail
