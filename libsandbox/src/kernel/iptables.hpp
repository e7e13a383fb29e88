// SPDX-License-Identifier: Apache-2.0
//
// The packet filter that was before nf_tables, iptables-legacy(8)'s: nf_tables knows nothing of it.
#pragma once

#include "sbx/ip_address.hpp"

namespace sbx::detail {

/// Whether its table 'filter' is there, in the caller's network namespace. To ask for more would
/// make it.
bool has_old_filter(IpFamily family);

/// Whether its chain FORWARD refuses what none of its rules has decided.
bool old_filter_refuses(IpFamily family);

}  // namespace sbx::detail
