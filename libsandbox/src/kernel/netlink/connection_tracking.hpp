// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/netlink/socket.hpp"
#include "sbx/ip_address.hpp"

namespace sbx::detail {

/// A conversation about the connections that the kernel keeps track of in the calling thread's
/// network namespace.
class ConnectionTracking {
 public:
  // Each looks at all connections of the host's.

  /// Forgets the connections that somebody in `block` has begun. Without a word where the kernel
  /// cannot be asked for them.
  void forget_begun_by(const IpPrefix& block);

  /// The same for those in which he was reached.
  void forget_answered_by(const IpPrefix& block);

 private:
  void forget(const IpPrefix& block, std::uint16_t tuple);

  std::optional<NetlinkSocket> socket_;  // most who could ask have no reason to
};

}  // namespace sbx::detail
