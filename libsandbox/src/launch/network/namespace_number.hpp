// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel/netlink/route_messages.hpp"
#include "sbx/namespace.hpp"

namespace sbx::detail {

/// Lets the host's kernel find a sandbox's namespace at once. It knows namespaces by numbers, and
/// looks through all of them, from the lowest on, whenever it tells of a link whose other end is
/// elsewhere: a dozen times for each start. The last one gets the lowest number, so that what a
/// start costs does not grow with how many sandboxes there are.
void number_namespace(RouteMessages& messages, const Namespace& network);

}  // namespace sbx::detail
