// SPDX-License-Identifier: Apache-2.0
#include "sbx/report.hpp"

#include <doctest/doctest.h>

#include <string>

using sbx::ExitReason;
using sbx::to_string;

TEST_CASE("each reason for an end has a word of its own") {
  CHECK(to_string(ExitReason::kExited) == std::string("exited"));
  CHECK(to_string(ExitReason::kSignal) == std::string("signal"));
  CHECK(to_string(ExitReason::kTimeout) == std::string("timeout"));
  CHECK(to_string(ExitReason::kCpuTime) == std::string("cpu-time"));
  CHECK(to_string(ExitReason::kMemory) == std::string("memory"));
  CHECK(to_string(ExitReason::kSetup) == std::string("setup"));
}

TEST_CASE("a report is good when the command ran and returned 0") { CHECK(sbx::Report{}.ok()); }

TEST_CASE("a report of a command that failed is not good") {
  sbx::Report report;
  report.status = 1;

  CHECK_FALSE(report.ok());
}

TEST_CASE("a report of a command that was ended is not good, whatever its status") {
  sbx::Report report;
  report.reason = ExitReason::kTimeout;

  CHECK_FALSE(report.ok());
}
