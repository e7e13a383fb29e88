// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_message.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cerrno>

#include "kernel/netlink/mnl.hpp"
#include "sbx/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::array kVerdictCodes{
    NF_ACCEPT,
    NF_DROP,
    static_cast<int>(NFT_CONTINUE),
    static_cast<int>(NFT_RETURN),
    static_cast<int>(NFT_JUMP),
    static_cast<int>(NFT_GOTO),
};

[[noreturn]] void refuse_size() {
  throw SystemError(EMSGSIZE, "cannot put a message to nf_tables together");
}

}  // namespace

NftMessage::Nest::Nest(NftMessage& message, std::uint16_t type)
    : header_(message.header_), start_(mnl().attr_nest_start_check(header_, message.room_, type)) {
  if (start_ == nullptr) refuse_size();
}

NftMessage::Nest::~Nest() { mnl().attr_nest_end(header_, start_); }

NftMessage::NftMessage(const MessageRoom& room, int type, int flags, std::uint8_t family)
    : NftMessage(room, (NFNL_SUBSYS_NFTABLES << 8) | type, flags, family, 0) {}

NftMessage NftMessage::batch(const MessageRoom& room, int type) {
  return {room, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES};
}

NftMessage NftMessage::tracking(const MessageRoom& room, int type, int flags, std::uint8_t family) {
  return {room, (NFNL_SUBSYS_CTNETLINK << 8) | type, flags, family, 0};
}

NftMessage::NftMessage(const MessageRoom& room, int type, int flags, std::uint8_t family,
                       int resource)
    : room_(room.size()) {
  header_ = mnl().nlmsg_put_header(room.data());
  header_->nlmsg_type = static_cast<std::uint16_t>(type);
  header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* about = static_cast<nfgenmsg*>(mnl().nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
  about->nfgen_family = family;
  about->version = NFNETLINK_V0;
  about->res_id = htons(static_cast<std::uint16_t>(resource));
}

void NftMessage::put(std::uint16_t type, const void* data, std::size_t size) {
  if (!mnl().attr_put_check(header_, room_, type, size, data)) refuse_size();
}

void NftMessage::text(std::uint16_t type, const std::string& value) {
  put(type, value.c_str(), value.size() + 1);
}

void NftMessage::number(std::uint16_t type, std::uint32_t value) {
  const std::uint32_t sent = htobe32(value);
  put(type, &sent, sizeof sent);
}

void NftMessage::number64(std::uint16_t type, std::uint64_t value) {
  const std::uint64_t sent = htobe64(value);
  put(type, &sent, sizeof sent);
}

void NftMessage::bytes(std::uint16_t type, std::span<const std::uint8_t> value) {
  put(type, value.data(), value.size());
}

void NftMessage::value(std::uint16_t type, std::span<const std::uint8_t> value) {
  const Nest data = nest(type);
  bytes(NFTA_DATA_VALUE, value);
}

void NftMessage::verdict(std::uint16_t type, const nft::Verdict& verdict) {
  const Nest data = nest(type);
  const Nest inner = nest(NFTA_DATA_VERDICT);
  const int code = kVerdictCodes.at(static_cast<std::size_t>(verdict.kind));
  number(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
  if (!verdict.chain.empty()) text(NFTA_VERDICT_CHAIN, verdict.chain);
}

}  // namespace sbx::detail
