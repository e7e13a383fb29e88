// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

namespace sbx::detail {

// Macros, because the name of each function is needed as a name and as a word.
#define SBX_LIBNL_FUNCTIONS(F) \
  F(nl_addr_build)             \
  F(nl_addr_put)               \
  F(nl_addr_set_prefixlen)     \
  F(nla_nest_end)              \
  F(nla_nest_start)            \
  F(nla_put)                   \
  F(nla_put_string)            \
  F(nla_put_u32)               \
  F(nla_put_u64)               \
  F(nla_put_u8)                \
  F(nlmsg_alloc_simple)        \
  F(nlmsg_append)              \
  F(nlmsg_free)                \
  F(nlmsg_hdr)

#define SBX_LIBNL_ROUTE_FUNCTIONS(F) \
  F(rtnl_addr_alloc)                 \
  F(rtnl_addr_build_add_request)     \
  F(rtnl_addr_build_delete_request)  \
  F(rtnl_addr_put)                   \
  F(rtnl_addr_set_flags)             \
  F(rtnl_addr_set_ifindex)           \
  F(rtnl_addr_set_local)             \
  F(rtnl_link_alloc)                 \
  F(rtnl_link_build_add_request)     \
  F(rtnl_link_build_change_request)  \
  F(rtnl_link_build_delete_request)  \
  F(rtnl_link_put)                   \
  F(rtnl_link_set_addr)              \
  F(rtnl_link_set_flags)             \
  F(rtnl_link_set_group)             \
  F(rtnl_link_set_ifindex)           \
  F(rtnl_link_set_master)            \
  F(rtnl_link_set_mtu)               \
  F(rtnl_link_set_name)              \
  F(rtnl_link_set_ns_fd)             \
  F(rtnl_link_set_type)              \
  F(rtnl_link_unset_flags)           \
  F(rtnl_link_veth_alloc)            \
  F(rtnl_link_veth_get_peer)         \
  F(rtnl_neigh_alloc)                \
  F(rtnl_neigh_build_add_request)    \
  F(rtnl_neigh_build_delete_request) \
  F(rtnl_neigh_put)                  \
  F(rtnl_neigh_set_dst)              \
  F(rtnl_neigh_set_family)           \
  F(rtnl_neigh_set_flags)            \
  F(rtnl_neigh_set_ifindex)          \
  F(rtnl_neigh_set_lladdr)           \
  F(rtnl_neigh_set_state)            \
  F(rtnl_route_add_nexthop)          \
  F(rtnl_route_alloc)                \
  F(rtnl_route_build_add_request)    \
  F(rtnl_route_build_del_request)    \
  F(rtnl_route_nh_alloc)             \
  F(rtnl_route_nh_set_gateway)       \
  F(rtnl_route_nh_set_ifindex)       \
  F(rtnl_route_put)                  \
  F(rtnl_route_set_dst)              \
  F(rtnl_route_set_type)             \
  F(rtnl_route_set_table)            \
  F(rtnl_route_set_priority)         \
  F(rtnl_route_set_flags)            \
  F(rtnl_route_set_protocol)

/// The functions of libnl and of libnl-route that are used, by their names.
struct Libnl {
  Libnl();

#define SBX_LIBNL_MEMBER(name) decltype(&::name) name = nullptr;
  SBX_LIBNL_FUNCTIONS(SBX_LIBNL_MEMBER)
  SBX_LIBNL_ROUTE_FUNCTIONS(SBX_LIBNL_MEMBER)
#undef SBX_LIBNL_MEMBER
};

/// Opened by the first call. Throws SystemError: ENOENT where one of the two is missing.
const Libnl& libnl();

}  // namespace sbx::detail
