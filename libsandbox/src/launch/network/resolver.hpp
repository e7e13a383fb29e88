// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sbx/ip_address.hpp"

namespace sbx::detail {

/// Where a sandbox finds a name server of the host's loopback.
IpAddress resolver_address();

/// Whom a sandbox asks for names: the host's name servers, as far as they can be asked from
/// elsewhere.
struct Resolver {
  /// That answer the sandbox. One on the host's loopback is asked at resolver_address().
  std::vector<IpAddress> servers;

  /// The sandbox's /etc/resolv.conf.
  std::string file;
};

/// From the texts of the host's /etc/resolv.conf and of the one that systemd-resolved keeps of the
/// servers behind its own (empty: there is none).
Resolver resolver_from(const std::string& resolv_conf, const std::string& upstream);

Resolver read_resolver();

}  // namespace sbx::detail
