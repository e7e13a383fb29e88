// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/connection_tracking.hpp"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>
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

/// Asks for the connections with `address` as the source of `tuple`. The answer may be all of the
/// family: Linux does not know of filters before 5.8, and takes an IPv6 address for the one that is
/// not wanted (seen in 6.18).
void ask(NftMessage& message, const IpAddress& address, std::uint16_t tuple) {
  if (address.family() == IpFamily::kIpv6) return;
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

bool is_source(const NftAttributes& connection, std::uint16_t tuple, const IpAddress& address) {
  const auto found = connection.nest(tuple).nest(CTA_TUPLE_IP).bytes(family_of(address).source);
  const auto wanted = address.bytes();
  return std::equal(found.begin(), found.end(), wanted.begin(), wanted.end());
}

/// The message that removes the connection which `found` tells of.
void add_removal(NetlinkMessages& messages, const NftAttributes& found, std::uint8_t family,
                 const std::string& attempt) {
  MessageRoom room;
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

ConnectionTracking::ConnectionTracking() : socket_(NETLINK_NETFILTER) {}

void ConnectionTracking::forget_begun_by(const IpAddress& address) {
  forget(address, CTA_TUPLE_ORIG);
}

void ConnectionTracking::forget_answered_by(const IpAddress& address) {
  forget(address, CTA_TUPLE_REPLY);
}

void ConnectionTracking::forget(const IpAddress& address, std::uint16_t tuple) {
  const std::string attempt = fmt::format("cannot forget connections of '{}'", address.to_string());
  const std::uint8_t family = family_of(address).number;
  std::vector<NetlinkMessages> removals;  // each of which fits into a socket's buffer
  int count = 0;
  MessageRoom room;
  NftMessage question = NftMessage::tracking(room, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);
  ask(question, address, tuple);
  if (!is_answered([&] {
        socket_.request(question.header(), attempt, [&](const nlmsghdr* answer) {
          const NftAttributes found(answer);
          if (!is_source(found, tuple, address)) return;
          if (count++ % kRemovedAtOnce == 0) removals.emplace_back();
          add_removal(removals.back(), found, family, attempt);
        });
      })) {
    return;
  }
  for (const NetlinkMessages& each : removals) is_answered([&] { socket_.send(each); });
}

}  // namespace sbx::detail
