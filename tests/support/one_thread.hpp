// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <iterator>
#include <string>

#include "support/child.hpp"
#include "support/require.hpp"

namespace sbx::test {

/// Whether a child process is born with threads, as it is under the thread sanitizer.
inline bool children_have_threads() {
  const auto threads = in_child([] {
    const std::filesystem::directory_iterator all("/proc/self/task");
    return std::to_string(std::distance(begin(all), end(all)));
  });
  return threads != "1";
}

}  // namespace sbx::test

/// For what the kernel lets only a process of one thread do, such as entering a user namespace.
#define SBX_REQUIRE_CHILDREN_OF_ONE_THREAD() \
  if (::sbx::test::children_have_threads()) SBX_SKIP("needs child processes of one thread")
