// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/report.hpp"

namespace sbx::bench {

/// A sandbox's place in the host's network: what it costs to make and to end, beside raw netlink
/// and beside ip(8) and nft(8), with few and with many others.
Section measure_network(const Scale& scale);

/// What passes between a sandbox and others, beside links without a firewall, and with the rules of
/// few and of many tenants.
Section measure_traffic(const Scale& scale);

}  // namespace sbx::bench
