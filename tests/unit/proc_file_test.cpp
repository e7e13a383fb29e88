// SPDX-License-Identifier: Apache-2.0
#include "sys/proc_file.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sbx/error.hpp>
#include <string>

#include "support/temp_dir.hpp"

using sbx::SystemError;
using sbx::detail::read_file;
using sbx::detail::write_file;
using sbx::test::TempDir;

TEST_CASE("a file is read to its end, whatever its size") {
  const TempDir dir;
  const auto file = dir.path() / "file";
  const std::string text(10'000, 'x');
  std::ofstream(file) << text;

  CHECK(read_file(file) == text);
  CHECK(read_file("/proc/self/status").starts_with("Name:\t"));
}

TEST_CASE("a file is written from its beginning") {
  const TempDir dir;
  const auto file = dir.path() / "file";
  std::ofstream(file) << "old";

  write_file(file, "n");

  CHECK(read_file(file) == "nld");
}

TEST_CASE("a file that cannot be read or written is named") {
  CHECK_THROWS_WITH_AS(read_file("/proc/absent\n"),
                       "cannot read '/proc/absent\\x0a': No such file or directory", SystemError);
  CHECK_THROWS_WITH_AS(read_file("/proc"), "cannot read '/proc': Is a directory", SystemError);
  CHECK_THROWS_WITH_AS(write_file("/proc/absent", "1"),
                       "cannot write '/proc/absent': No such file or directory", SystemError);
}

TEST_CASE("a text that the kernel refuses is an error") {
  CHECK_THROWS_WITH_AS(write_file("/proc/self/oom_score_adj", "none"),
                       "cannot write '/proc/self/oom_score_adj': Invalid argument", SystemError);
}

TEST_CASE("a file is never created by writing to it") {
  const TempDir dir;

  CHECK_THROWS_AS(write_file(dir.path() / "file", "1"), SystemError);

  CHECK_FALSE(std::filesystem::exists(dir.path() / "file"));
}
