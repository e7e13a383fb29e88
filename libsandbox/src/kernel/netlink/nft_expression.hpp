// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel/netlink/nft_message.hpp"
#include "sbx/nftables.hpp"

// The expressions of nf_tables, each one as it is sent: what is loaded into registers, what
// compares them, and what is done.
namespace sbx::detail {

using Bytes = std::span<const std::uint8_t>;

/// The first of the registers of 4 bytes, NFT_REG32_00.
constexpr std::uint32_t kFirstRegister = 8;

/// One expression in the attribute `type`; `parameters` are put into it.
void expression(NftMessage& message, std::uint16_t type, const char* name,
                const std::function<void()>& parameters);

/// A counter, which starts from `from`, in the attribute `type`.
void counter_expression(NftMessage& message, std::uint16_t type, const nft::Counter& from);

/// Writes expressions of a rule into the list that is open in a message.
class NftExpressions {
 public:
  explicit NftExpressions(NftMessage& message) : message_(message) {}

  /// `bytes` of the field, or more, to `to` and the registers that follow.
  void load(nft::Field field, std::uint32_t to, std::uint32_t bytes);
  /// As a bridge or device has it: in network order.
  void load_ether_type();
  void load_value(std::uint32_t to, Bytes value);

  // About what is in the first register and those that follow.
  void compare(bool differs, Bytes with);
  void mask(Bytes mask);
  void lookup(const std::string& set, bool absent, std::optional<std::uint32_t> result);
  void count_connections(const std::string& set, std::uint32_t over);
  void store_mark();

  void decide(const nft::Verdict& verdict);
  void count();
  void count_by_name(const std::string& object);
  void limit(bool of_bytes, std::uint64_t per_second, std::uint32_t burst);
  void reject(std::uint32_t type, std::uint8_t code);
  void masquerade();
  /// The address is in the first register, the port, if any, in `port`.
  void translate(bool source, IpFamily family, std::optional<std::uint32_t> port);

 private:
  void add(const char* name, const std::function<void()>& parameters);

  NftMessage& message_;
};

}  // namespace sbx::detail
