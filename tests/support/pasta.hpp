// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/command.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

namespace sbx::test {

/// What keeps sandboxes from being connected by pasta(1) here; empty when nothing does.
inline std::string why_no_pasta() {
  if (run({.argv = {"sh", "-c", "command -v pasta"}}).status != 0) {
    return "needs pasta, of the package passt";
  }
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "needs /dev/net/tun";
  const auto routes =
      run({.argv = {"sh", "-c", "ip -4 route show default; ip -6 route show default"}});
  return routes.out.empty() ? "needs a way to the outside, which pasta leads to" : "";
}

inline std::vector<pid_t> pastas() { return pids_with("--no-map-gw"); }

/// The pastas that are there now and were not among `before`.
inline std::vector<pid_t> new_pastas(const std::vector<pid_t>& before) {
  std::vector<pid_t> found = pastas();
  std::erase_if(found, [&](pid_t pid) {
    return std::find(before.begin(), before.end(), pid) != before.end();
  });
  return found;
}

}  // namespace sbx::test

#define SBX_REQUIRE_PASTA()                                     \
  do {                                                          \
    const std::string sbx_reason = ::sbx::test::why_no_pasta(); \
    if (!sbx_reason.empty()) SBX_SKIP(sbx_reason);              \
  } while (false)
