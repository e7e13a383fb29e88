// SPDX-License-Identifier: Apache-2.0
#include "launch/outcome.hpp"

#include <doctest/doctest.h>

#include <limits>

using sbx::child::Event;
using sbx::detail::report_from_event;

TEST_CASE("an init's numbers become those of the report") {
  const sbx::Report report = report_from_event({.status = 0x0300,
                                                .user_microseconds = 1,
                                                .system_microseconds = 2,
                                                .rss_max_kilobytes = 3,
                                                .read_blocks = 4,
                                                .written_blocks = 5});

  CHECK(report.status == 3);
  CHECK(report.cpu_user.count() == 1);
  CHECK(report.cpu_system.count() == 2);
  CHECK(report.rss_max_bytes == 3072);
  CHECK(report.io_read_bytes == 2048);
  CHECK(report.io_write_bytes == 2560);
}

TEST_CASE("an init that exaggerates is not believed to have used less") {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

  const sbx::Report report = report_from_event({.user_microseconds = kMost,
                                                .system_microseconds = kMost / 2 + 1,
                                                .rss_max_kilobytes = kMost / 1024 + 1,
                                                .read_blocks = kMost});

  CHECK(report.cpu_user.count() == std::numeric_limits<std::int64_t>::max());
  CHECK(report.cpu_system.count() == std::numeric_limits<std::int64_t>::max());
  CHECK(report.rss_max_bytes == kMost);
  CHECK(report.io_read_bytes == kMost);
}
