// SPDX-License-Identifier: Apache-2.0
#include "support/require.hpp"

#include <doctest/doctest.h>

#include <cstdio>

namespace sbx::test {

void report_skip(const std::string& reason) {
  // A test case with subcases runs several times and would be counted as often.
  static const void* last = nullptr;
  const auto* test_case = doctest::getContextOptions()->currentTest;
  if (test_case == last) return;

  last = test_case;
  std::printf("[skipped] %s: %s\n", test_case->m_name, reason.c_str());
  std::fflush(stdout);
}

}  // namespace sbx::test
