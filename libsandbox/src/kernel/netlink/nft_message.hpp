// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "sbx/nftables.hpp"

namespace sbx::detail {

/// Memory for a message to be put together in. Not cleared: most messages touch little of it.
/// An attribute has 16 bits for its length: no message is larger than its largest.
class MessageRoom {
 public:
  static constexpr std::size_t kLargest = 0xfff0;
  static constexpr std::size_t kQuestion = 4096;  ///< for one that only names things

  explicit MessageRoom(std::size_t size = kLargest) : size_(size), bytes_(new char[size]) {}

  [[nodiscard]] char* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

/// One message to nf_tables, put together in memory that is lent to it. Numbers go in network
/// order, as nfnetlink has them.
class NftMessage {
 public:
  /// An attribute that holds others, open for as long as this lives.
  class Nest {
   public:
    Nest(NftMessage& message, std::uint16_t type);
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;
    Nest(Nest&&) = delete;
    Nest& operator=(Nest&&) = delete;
    ~Nest();

   private:
    nlmsghdr* header_;
    nlattr* start_;
  };

  /// Of NFT_MSG_*, to which the subsystem is added. `family` is NFPROTO_*, 0 for all.
  NftMessage(const MessageRoom& room, int type, int flags, std::uint8_t family);

  /// NFNL_MSG_BATCH_BEGIN or END.
  static NftMessage batch(const MessageRoom& room, int type);

  /// To the tracking of connections: IPCTNL_MSG_CT_*.
  static NftMessage tracking(const MessageRoom& room, int type, int flags, std::uint8_t family);

  /// SystemError: EMSGSIZE where it does not fit into one message.
  void text(std::uint16_t type, const std::string& value);
  void number(std::uint16_t type, std::uint32_t value);
  void number64(std::uint16_t type, std::uint64_t value);
  void bytes(std::uint16_t type, std::span<const std::uint8_t> value);
  [[nodiscard]] Nest nest(std::uint16_t type) { return {*this, type}; }

  /// What the kernel calls data: a value, or a verdict.
  void value(std::uint16_t type, std::span<const std::uint8_t> value);
  void verdict(std::uint16_t type, const nft::Verdict& verdict);

  [[nodiscard]] const nlmsghdr* header() const noexcept { return header_; }
  [[nodiscard]] std::size_t size() const noexcept { return header_->nlmsg_len; }

 private:
  NftMessage(const MessageRoom& room, int type, int flags, std::uint8_t family, int resource);

  void put(std::uint16_t type, const void* data, std::size_t size);

  nlmsghdr* header_;
  std::size_t room_;
};

}  // namespace sbx::detail
