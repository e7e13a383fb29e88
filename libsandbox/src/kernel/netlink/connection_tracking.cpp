// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/connection_tracking.hpp"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel/netlink/mnl.hpp"
#include "kernel/netlink/nft_attributes.hpp"
#include "kernel/netlink/nft_message.hpp"
#include "sbx/error.hpp"

namespace sbx::detail {
namespace {

// The kernel's CTA_FILTER_F_CTA_IP_SRC, which no header of its tells: compare the source alone.
constexpr std::uint32_t kCompareSource = 1;

constexpr int kRemovedAtOnce = 256;

struct Family {
  std::uint8_t number;
  std::uint16_t source;  // of the attributes of a tuple
};

Family family_of(const IpAddress& address) {
  if (address.family() == IpFamily::kIpv4) return {NFPROTO_IPV4, CTA_IP_V4_SRC};
  return {NFPROTO_IPV6, CTA_IP_V6_SRC};
}

/// Asks for the connections whose source, in `tuple`, is in `block`. The answer may be all of the
/// family: Linux knows of filters for an address alone, of none before 5.8, and takes an IPv6
/// address for the one that is not wanted (seen in 6.18).
void ask(NftMessage& message, const IpPrefix& block, std::uint16_t tuple) {
  const IpAddress& address = block.address;
  if (address.family() == IpFamily::kIpv6 || block.length < address.bits()) return;
  {
    const NftMessage::Nest outer = message.nest(tuple);
    const NftMessage::Nest inner = message.nest(CTA_TUPLE_IP);
    message.bytes(family_of(address).source, address.bytes());
  }
  const bool original = tuple == CTA_TUPLE_ORIG;
  const NftMessage::Nest filter = message.nest(CTA_FILTER);
  // In the machine's byte order, for once.
  message.number(CTA_FILTER_ORIG_FLAGS, htobe32(original ? kCompareSource : 0));
  message.number(CTA_FILTER_REPLY_FLAGS, htobe32(original ? 0 : kCompareSource));
}

bool is_source(const NftAttributes& connection, std::uint16_t tuple, const IpPrefix& block) {
  const auto source = family_of(block.address).source;
  const auto found = connection.nest(tuple).nest(CTA_TUPLE_IP).bytes(source);
  if (found.size() == 4) return block.contains(IpAddress(found.first<4>()));
  return found.size() == 16 && block.contains(IpAddress(found.first<16>()));
}

/// The message that removes the connection which `found` tells of.
void add_removal(NetlinkMessages& messages, const NftAttributes& found, std::uint8_t family,
                 const Attempt& attempt) {
  const MessageRoom room(MessageRoom::kQuestion);
  NftMessage message = NftMessage::tracking(room, IPCTNL_MSG_CT_DELETE, 0, family);
  for (const int part : {CTA_TUPLE_ORIG | NLA_F_NESTED, CTA_ID | 0, CTA_ZONE | 0}) {
    const auto type = static_cast<std::uint16_t>(part & NLA_TYPE_MASK);
    if (found.has(type)) message.bytes(static_cast<std::uint16_t>(part), found.bytes(type));
  }
  messages.append(message.header(), attempt);
}

/// False where the kernel lacks the module, and where a connection has just ended by itself.
template <typename Ask>
bool is_answered(Ask ask) {
  try {
    ask();
    return true;
  } catch (const SystemError& error) {
    const int reason = error.code().value();
    if (reason != ENOENT && reason != EINVAL && reason != EOPNOTSUPP) throw;
    return false;
  }
}

}  // namespace

void ConnectionTracking::forget_begun_by(const IpPrefix& block) { forget(block, CTA_TUPLE_ORIG); }

void ConnectionTracking::forget_answered_by(const IpPrefix& block) {
  forget(block, CTA_TUPLE_REPLY);
}

void ConnectionTracking::forget(const IpPrefix& block, std::uint16_t tuple) {
  if (!socket_) socket_.emplace(NETLINK_NETFILTER);
  const Attempt attempt = [block] {
    return fmt::format("cannot forget connections of '{}'", block.to_string());
  };
  const std::uint8_t family = family_of(block.address).number;
  std::vector<NetlinkMessages> removals;  // each of which fits into a socket's buffer
  int count = 0;
  const MessageRoom room(MessageRoom::kQuestion);
  NftMessage question = NftMessage::tracking(room, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
  ask(question, block, tuple);
  if (!is_answered([&] {
        socket_->request(question.header(), attempt, [&](const nlmsghdr* answer) {
          const NftAttributes found(answer);
          if (!is_source(found, tuple, block)) return;
          if (count++ % kRemovedAtOnce == 0) removals.emplace_back();
          add_removal(removals.back(), found, family, attempt);
        });
      })) {
    return;
  }
  for (const NetlinkMessages& each : removals) is_answered([&] { socket_->send(each); });
}

}  // namespace sbx::detail
