// SPDX-License-Identifier: Apache-2.0
//
// What of the links, routes and neighbours is one sandbox's: its veth pair, and the ways between
// that and the host.
#pragma once

#include "launch/network/host_setup.hpp"
#include "launch/network/tenant.hpp"
#include "launch/network/wall.hpp"
#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx::detail {

/// Does not keep what it is made of alive.
class TenantLinks {
 public:
  TenantLinks(const Wall& wall, const Tenant& tenant, Conversations& kernel);

  /// Makes the pair, with its inner end in `theirs`, which `inside` is a socket of NETLINK_ROUTE
  /// in; with `to_loopback` there is a way between the host's loopback and the sandbox. Packets
  /// pass when it returns. Throws SystemError; what it has made remains.
  void connect(const Namespace& theirs, UniqueFd inside, bool to_loopback);

  /// Takes back the host's way to the tenant, as far as it is there and does not go with his link.
  void remove_way();

  /// Removes the link of one who had the slot before, and has ended: the kernel has not come to it
  /// yet, or somebody keeps its namespace, who would speak for the tenant as soon as that is let
  /// in.
  void remove_former();

 private:
  bool connect_outside(const Namespace& theirs, bool to_loopback);
  void connect_inside(UniqueFd socket, bool ipv6);
  void wake();

  const Wall& wall_;
  const Tenant& tenant_;
  Conversations& kernel_;
  TenantAddresses self_;
};

}  // namespace sbx::detail
