// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sbx/network.hpp"

namespace sbx::detail {

/// Throws SystemError, EADDRINUSE, when a program of the host's has a port that is to be published:
/// it would hear nothing any more.
void require_silent_ports(const Network& network);

}  // namespace sbx::detail
