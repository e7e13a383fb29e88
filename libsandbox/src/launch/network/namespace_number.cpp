// SPDX-License-Identifier: Apache-2.0
#include "launch/network/namespace_number.hpp"

#include <time.h>

#include <limits>

namespace sbx::detail {

void number_namespace(RouteMessages& messages, const Namespace& network) {
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr long kTick = 10'000'000;  // nanoseconds: the numbers last for eight months
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const long ticks = now.tv_sec * (1'000'000'000 / kTick) + now.tv_nsec / kTick;
  messages.set_number(network, kMost - static_cast<int>(ticks % kMost));
  // Another one may have it, of the same moment. The kernel gives it one of the lowest, then.
  messages.excuse_last(kAnyError);
}

}  // namespace sbx::detail
