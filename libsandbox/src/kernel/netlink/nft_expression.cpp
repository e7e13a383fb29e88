// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_expression.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include "kernel/netlink/nft_field.hpp"

namespace sbx::detail {

static_assert(kFirstRegister == NFT_REG32_00);

void expression(NftMessage& message, std::uint16_t type, const char* name,
                const std::function<void()>& parameters) {
  const NftMessage::Nest nest = message.nest(type);
  message.text(NFTA_EXPR_NAME, name);
  const NftMessage::Nest data = message.nest(NFTA_EXPR_DATA);
  parameters();
}

void counter_expression(NftMessage& message, std::uint16_t type, const nft::Counter& from) {
  expression(message, type, "counter", [&] {
    message.number64(NFTA_COUNTER_BYTES, from.bytes);
    message.number64(NFTA_COUNTER_PACKETS, from.packets);
  });
}

void NftExpressions::add(const char* name, const std::function<void()>& parameters) {
  expression(message_, NFTA_LIST_ELEM, name, parameters);
}

void NftExpressions::load(nft::Field field, std::uint32_t to, std::uint32_t bytes) {
  const FieldShape& shape = shape_of(field);
  switch (shape.source) {
    case FieldSource::kMeta:
      return add("meta", [&] {
        message_.number(NFTA_META_KEY, shape.key);
        message_.number(NFTA_META_DREG, to);
      });
    case FieldSource::kConnection:
      return add("ct", [&] {
        message_.number(NFTA_CT_KEY, shape.key);
        message_.number(NFTA_CT_DREG, to);
      });
    case FieldSource::kOriginal:
    case FieldSource::kReply:
      return add("ct", [&] {
        const std::uint8_t direction = shape.source == FieldSource::kReply ? 1 : 0;
        message_.number(NFTA_CT_KEY, shape.key);
        message_.bytes(NFTA_CT_DIRECTION, {&direction, 1});
        message_.number(NFTA_CT_DREG, to);
      });
    case FieldSource::kPayload:
      return add("payload", [&] {
        message_.number(NFTA_PAYLOAD_DREG, to);
        message_.number(NFTA_PAYLOAD_BASE, shape.key);
        message_.number(NFTA_PAYLOAD_OFFSET, shape.offset);
        message_.number(NFTA_PAYLOAD_LEN, bytes);
      });
    case FieldSource::kRoute:
      return add("fib", [&] {
        message_.number(NFTA_FIB_DREG, to);
        message_.number(NFTA_FIB_RESULT, shape.key);
        message_.number(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
      });
  }
}

void NftExpressions::load_ether_type() {
  add("meta", [&] {
    message_.number(NFTA_META_KEY, NFT_META_PROTOCOL);
    message_.number(NFTA_META_DREG, kFirstRegister);
  });
}

void NftExpressions::load_value(std::uint32_t to, Bytes value) {
  add("immediate", [&] {
    message_.number(NFTA_IMMEDIATE_DREG, to);
    message_.value(NFTA_IMMEDIATE_DATA, value);
  });
}

void NftExpressions::compare(bool differs, Bytes with) {
  add("cmp", [&] {
    message_.number(NFTA_CMP_SREG, kFirstRegister);
    message_.number(NFTA_CMP_OP, differs ? NFT_CMP_NEQ : NFT_CMP_EQ);
    message_.value(NFTA_CMP_DATA, with);
  });
}

void NftExpressions::mask(Bytes mask) {
  const std::vector<std::uint8_t> nothing(mask.size());
  add("bitwise", [&] {
    message_.number(NFTA_BITWISE_SREG, kFirstRegister);
    message_.number(NFTA_BITWISE_DREG, kFirstRegister);
    message_.number(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(mask.size()));
    message_.value(NFTA_BITWISE_MASK, mask);
    message_.value(NFTA_BITWISE_XOR, nothing);
  });
}

void NftExpressions::lookup(const std::string& set, bool absent,
                            std::optional<std::uint32_t> result) {
  add("lookup", [&] {
    message_.text(NFTA_LOOKUP_SET, set);
    message_.number(NFTA_LOOKUP_SREG, kFirstRegister);
    if (result) message_.number(NFTA_LOOKUP_DREG, *result);
    if (absent) message_.number(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  });
}

void NftExpressions::count_connections(const std::string& set, std::uint32_t over) {
  add("dynset", [&] {
    message_.text(NFTA_DYNSET_SET_NAME, set);
    message_.number(NFTA_DYNSET_OP, NFT_DYNSET_OP_ADD);
    message_.number(NFTA_DYNSET_SREG_KEY, kFirstRegister);
    expression(message_, NFTA_DYNSET_EXPR, "connlimit", [&] {
      message_.number(NFTA_CONNLIMIT_COUNT, over);
      message_.number(NFTA_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
    });
  });
}

void NftExpressions::store_mark() {
  add("meta", [&] {
    message_.number(NFTA_META_KEY, NFT_META_MARK);
    message_.number(NFTA_META_SREG, kFirstRegister);
  });
}

void NftExpressions::decide(const nft::Verdict& verdict) {
  add("immediate", [&] {
    message_.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    message_.verdict(NFTA_IMMEDIATE_DATA, verdict);
  });
}

void NftExpressions::count() { counter_expression(message_, NFTA_LIST_ELEM, {}); }

void NftExpressions::count_by_name(const std::string& object) {
  add("objref", [&] {
    message_.number(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
    message_.text(NFTA_OBJREF_IMM_NAME, object);
  });
}

void NftExpressions::limit(bool of_bytes, std::uint64_t per_second, std::uint32_t burst) {
  add("limit", [&] {
    message_.number64(NFTA_LIMIT_RATE, per_second);
    message_.number64(NFTA_LIMIT_UNIT, 1);
    message_.number(NFTA_LIMIT_BURST, burst);
    message_.number(NFTA_LIMIT_TYPE, of_bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS);
    message_.number(NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  });
}

void NftExpressions::reject(std::uint32_t type, std::uint8_t code) {
  add("reject", [&] {
    message_.number(NFTA_REJECT_TYPE, type);
    message_.bytes(NFTA_REJECT_ICMP_CODE, {&code, 1});
  });
}

void NftExpressions::masquerade() {
  add("masq", [] {});
}

void NftExpressions::translate(bool source, IpFamily family, std::optional<std::uint32_t> port) {
  add("nat", [&] {
    message_.number(NFTA_NAT_TYPE, source ? NFT_NAT_SNAT : NFT_NAT_DNAT);
    message_.number(NFTA_NAT_FAMILY, family == IpFamily::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    message_.number(NFTA_NAT_REG_ADDR_MIN, kFirstRegister);
    if (!port) return;
    message_.number(NFTA_NAT_REG_PROTO_MIN, *port);
    message_.number(NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  });
}

}  // namespace sbx::detail
