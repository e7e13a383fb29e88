// SPDX-License-Identifier: Apache-2.0
#include "launch/network/tenant_links.hpp"

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/netlink/route_messages.hpp"
#include "launch/network/namespace_number.hpp"
#include "sbx/error.hpp"
#include "sbx/link.hpp"

namespace sbx::detail {
namespace {

constexpr const char* kInnerLink = "eth0";

IpPrefix all_of(const IpPrefix& pool) {
  return IpPrefix::parse(pool.address.family() == IpFamily::kIpv4 ? "0.0.0.0/0" : "::/0");
}

IpPrefix alone(const IpAddress& address) { return {address, address.bits()}; }

}  // namespace

TenantLinks::TenantLinks(const Wall& wall, const Tenant& tenant, Conversations& kernel)
    : wall_(wall), tenant_(tenant), kernel_(kernel), self_(wall.names, wall.pools, tenant) {}

void TenantLinks::connect(const Namespace& theirs, UniqueFd inside, bool to_loopback) {
  const bool ipv6 = connect_outside(theirs, to_loopback);
  connect_inside(std::move(inside), ipv6);
  wake();
}

/// The outer end, and the host's way to the sandbox. Whether there is one of IPv6.
bool TenantLinks::connect_outside(const Namespace& theirs, bool to_loopback) {
  const bool on_bridge = tenant_.on_bridge();
  const std::uint64_t rate = tenant_.network.rate_bits_per_second;
  RouteMessages making;
  number_namespace(making, theirs);
  making.create({.name = self_.link,
                 .mac = on_bridge ? std::nullopt : std::optional(kHostMac),
                 .group = wall_.names.group,
                 .peer_name = kInnerLink,
                 .peer_mac = self_.mac,
                 .peer_namespace = &theirs,
                 .arp = false,
                 .link_local = false});
  making.send(kernel_.links);
  const LinkName outer = open_link(kernel_.links, self_.link);
  const LinkName way = on_bridge ? open_link(kernel_.links, self_.entry) : outer;
  RouteMessages messages;
  if (on_bridge) {
    messages.join(outer, way, {.isolated = true, .learning = false, .flood = false});
    messages.add_forwarding(outer, self_.mac);
  }
  messages.set_no_link_local(outer);
  if (!on_bridge) messages.refuse_source_routes(outer);
  messages.set_up(outer);
  for (const IpAddress& address : {self_.ipv4, self_.ipv6}) {
    const bool may_lack = address.family() == IpFamily::kIpv6;
    messages.add_first_route(way, address);
    if (may_lack) messages.excuse_last(kNoIpv6);
    messages.add_neighbour(way, address, self_.mac, Existing::kReplaced);
    if (may_lack) messages.excuse_last(kNoIpv6Neighbour);
  }
  if (rate != 0) messages.limit_rate(outer, rate);
  const bool ipv6 = messages.send(kernel_.links);
  if (!on_bridge && to_loopback) open_to_loopback(outer, kernel_.links);
  return ipv6;
}

/// The inner end: its addresses, and the one way out. Its namespace may be without IPv6, too: it
/// was made with the settings of the kernel's parameters, or of another one's
/// (net.core.devconf_inherit_init_net).
void TenantLinks::connect_inside(UniqueFd socket, bool ipv6) {
  const std::uint64_t rate = tenant_.network.rate_bits_per_second;
  std::vector<IpPrefix> pools = {wall_.pools.ipv4};
  if (ipv6) pools.push_back(wall_.pools.ipv6);
  NetlinkSocket inside(std::move(socket));
  const LinkName inner = open_link(inside, kInnerLink);
  const auto may_lack = [](const IpPrefix& pool) {
    return pool.address.family() == IpFamily::kIpv6;
  };
  RouteMessages messages;
  messages.set_no_link_local(inner);
  for (const IpPrefix& pool : pools) {
    messages.add_address(inner, alone(pool.at(tenant_.slot)), Existing::kRefused);
    if (may_lack(pool)) messages.excuse_last(kNoIpv6);
    messages.add_neighbour(inner, pool.at(kGateway), kHostMac, Existing::kReplaced);
    if (may_lack(pool)) messages.excuse_last(kNoIpv6Neighbour);
  }
  // Now the kernel goes through all of the host's routes of IPv6: what comes after it waits.
  messages.set_up(inner);
  for (const IpPrefix& pool : pools) {
    messages.add_route(inner,
                       {.destination = all_of(pool), .gateway = pool.at(kGateway), .on_link = true},
                       Existing::kReplaced);
    if (may_lack(pool)) messages.excuse_last(kNoIpv6);
  }
  if (rate != 0) messages.limit_rate(inner, rate);
  messages.send(inside);
}

/// An end of a pair sends nothing until the kernel has noticed that the other is up, too, which can
/// take a second, and so it is with a bridge.
void TenantLinks::wake() {
  RouteMessages messages;
  messages.wake(open_link(kernel_.links, self_.link));
  if (tenant_.on_bridge()) messages.wake(open_link(kernel_.links, self_.entry));
  messages.send(kernel_.links);
}

void TenantLinks::remove_way() {
  const auto way = find_link(kernel_.links, self_.entry);
  if (!way) return;
  for (const IpAddress& address : {self_.ipv4, self_.ipv6}) {
    try {
      RouteMessages messages;
      messages.remove_route(*way, {.destination = alone(address)});
      messages.remove_neighbour(*way, address);
      messages.send(kernel_.links);
    } catch (const SystemError&) {
      // It had not come so far, or the link is just going.
    }
  }
}

void TenantLinks::remove_former() {
  const auto link = find_link(kernel_.links, self_.link);
  if (!link) return;
  RouteMessages messages;
  messages.remove(*link);
  try {
    messages.send(kernel_.links);
  } catch (const SystemError& error) {
    if (error.code().value() != ENODEV) throw;
  }
}

}  // namespace sbx::detail
