// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <string>

namespace sbx::test {

/// Prints "[skipped] TEST CASE: reason", once for the running test case. tests/run counts the
/// lines.
void report_skip(const std::string& reason);

}  // namespace sbx::test

/// Ends the test case as skipped. For the test case itself, not for a function that it calls.
#define SBX_SKIP(reason)              \
  do {                                \
    ::sbx::test::report_skip(reason); \
    return;                           \
  } while (false)

#define SBX_REQUIRE_ROOT()                        \
  do {                                            \
    if (::geteuid() != 0) SBX_SKIP("needs root"); \
  } while (false)

#define SBX_REQUIRE_ORDINARY_USER()                           \
  do {                                                        \
    if (::geteuid() == 0) SBX_SKIP("needs an ordinary user"); \
  } while (false)
