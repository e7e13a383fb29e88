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

void add_address(RouteMessages& messages, const LinkName& inner, const IpPrefix& pool, Slot slot) {
  messages.add_address(inner, alone(pool.at(slot)), Existing::kRefused);
  messages.add_neighbour(inner, pool.at(kGateway), kHostMac, Existing::kReplaced);
}

/// Whether it could be given one. By its settings the namespace may have none: it was made with
/// those of the kernel's parameters, or of another's (net.core.devconf_inherit_init_net).
bool add_ipv6(const LinkName& inner, const IpPrefix& pool, Slot slot, NetlinkSocket& inside) {
  RouteMessages messages;
  messages.set_no_link_local(inner);
  add_address(messages, inner, pool, slot);
  try {
    messages.send(inside);
  } catch (const SystemError& error) {
    if (error.code().value() != EACCES) throw;
    return false;
  }
  return true;
}

}  // namespace

TenantLinks::TenantLinks(const Wall& wall, const Tenant& tenant, Conversations& kernel)
    : wall_(wall), tenant_(tenant), kernel_(kernel), self_(wall.names, wall.pools, tenant) {}

void TenantLinks::connect(const Namespace& theirs, UniqueFd inside, const Shape& shape) {
  connect_outside(theirs, shape);
  connect_inside(std::move(inside), shape.ipv6);
  wake();
}

/// The outer end, and the host's way to the sandbox.
void TenantLinks::connect_outside(const Namespace& theirs, const Shape& shape) {
  const bool on_bridge = tenant_.on_bridge();
  const std::uint64_t rate = tenant_.network.rate_bits_per_second;
  number_namespace(theirs, kernel_.links);
  RouteMessages making;
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
  if (shape.ipv6 != Ipv6::kAbsent) messages.set_no_link_local(outer);
  if (!on_bridge) messages.refuse_source_routes(outer);
  messages.set_up(outer);
  for (const IpPrefix& pool : pools_in_use(wall_.pools, shape.ipv6)) {
    const IpAddress address = pool.at(tenant_.slot);
    messages.add_first_route(way, address);
    messages.add_neighbour(way, address, self_.mac, Existing::kReplaced);
  }
  if (rate != 0) messages.limit_rate(outer, rate);
  messages.send(kernel_.links);
  if (!on_bridge && shape.to_loopback) open_to_loopback(outer, shape.ipv6, kernel_.links);
}

/// The inner end: its addresses, and the one way out.
void TenantLinks::connect_inside(UniqueFd socket, Ipv6 ipv6) {
  const Slot slot = tenant_.slot;
  const std::uint64_t rate = tenant_.network.rate_bits_per_second;
  NetlinkSocket inside(std::move(socket));
  const LinkName inner = open_link(inside, kInnerLink);
  std::vector<IpPrefix> used = {wall_.pools.ipv4};
  if (ipv6 == Ipv6::kOn && add_ipv6(inner, wall_.pools.ipv6, slot, inside)) {
    used.push_back(wall_.pools.ipv6);
  }
  RouteMessages messages;
  if (ipv6 == Ipv6::kOff) messages.set_no_link_local(inner);
  add_address(messages, inner, wall_.pools.ipv4, slot);
  // Now the kernel goes through all of the host's routes of IPv6: what comes after it waits.
  messages.set_up(inner);
  for (const IpPrefix& pool : used) {
    messages.add_route(inner,
                       {.destination = all_of(pool), .gateway = pool.at(kGateway), .on_link = true},
                       Existing::kReplaced);
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
