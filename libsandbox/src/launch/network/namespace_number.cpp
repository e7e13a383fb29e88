// SPDX-License-Identifier: Apache-2.0
#include "launch/network/namespace_number.hpp"

#include <time.h>

#include <limits>

#include "kernel/netlink/route_messages.hpp"
#include "sbx/error.hpp"

namespace sbx::detail {

void number_namespace(const Namespace& network, NetlinkSocket& links) {
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr long kTick = 10'000'000;  // nanoseconds: the numbers last for eight months
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const long ticks = now.tv_sec * (1'000'000'000 / kTick) + now.tv_nsec / kTick;
  RouteMessages messages;
  messages.set_number(network, kMost - static_cast<int>(ticks % kMost));
  try {
    messages.send(links);
  } catch (const SystemError&) {
    // Another one has it, of the same moment. The kernel gives it one of the lowest, then.
  }
}

}  // namespace sbx::detail
