// SPDX-License-Identifier: Apache-2.0
#include "launch/network/other_walls.hpp"

#include <fmt/format.h>
#include <linux/netlink.h>

#include "kernel/iptables.hpp"
#include "kernel/netlink/nft_refusal.hpp"
#include "kernel/netlink/socket.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

using nft::Family;
using nft::Hook;

/// Empty for a family that packets of IP do not come by.
std::string name_of_family(Family family) {
  switch (family) {
    case Family::kInet:
      return "inet";
    case Family::kIpv4:
      return "ip";
    case Family::kIpv6:
      return "ip6";
    default:
      return {};
  }
}

const char* old_name(IpFamily family) {
  return family == IpFamily::kIpv4 ? "iptables-legacy" : "ip6tables-legacy";
}

}  // namespace

std::vector<std::string> other_filters(const nft::Nftables& tables, const HostNames& names) {
  std::vector<std::string> found;
  for (const nft::Table& table : tables.tables()) {
    if (table.name != names.table) found.push_back(table.name);
  }
  for (const IpFamily family : {IpFamily::kIpv4, IpFamily::kIpv6}) {
    if (has_old_filter(family)) found.emplace_back(old_name(family));
  }
  return found;
}

std::vector<std::string> other_walls(const nft::Nftables& tables, const HostNames& names,
                                     bool to_host) {
  std::vector<std::string> found;
  NetlinkSocket socket(NETLINK_NETFILTER);
  for (const auto& [table, chain] : tables.chains()) {
    const std::string family = name_of_family(table.family);
    if (family.empty() || table.name == names.table || !chain.base) continue;
    const Hook hook = chain.base->hook;
    if (hook != Hook::kForward && !(to_host && hook == Hook::kInput)) continue;
    if (!chain.base->drops && !ends_in_refusal(socket, table, chain.name)) continue;
    found.push_back(fmt::format("the chain '{}' of the table '{} {}'", printable(chain.name),
                                family, printable(table.name)));
  }
  for (const IpFamily family : {IpFamily::kIpv4, IpFamily::kIpv6}) {
    if (has_old_filter(family) && old_filter_refuses(family)) {
      found.push_back(fmt::format("the chain 'FORWARD' of {}", old_name(family)));
    }
  }
  return found;
}

}  // namespace sbx::detail
