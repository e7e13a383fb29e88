// SPDX-License-Identifier: Apache-2.0
#include "kernel/memory_map.hpp"

#include <doctest/doctest.h>

using sbx::detail::MemoryRange;
using sbx::detail::mergeable_ranges;
using Ranges = std::vector<MemoryRange>;

TEST_CASE("the mergeable ranges of a process are its private writable mappings") {
  const auto ranges = mergeable_ranges(
      "55d0a000-55d0b000 r-xp 00002000 fe:00 1573 /usr/bin/cat\n"
      "55d0b000-55d0c000 rw-p 00009000 fe:00 1573 /usr/bin/cat\n"
      "7ffe10000000-7ffe10021000 rw-p 00000000 00:00 0 [stack]\n");

  CHECK(ranges == Ranges{{0x55d0b000, 0x55d0c000}, {0x7ffe10000000, 0x7ffe10021000}});
}

TEST_CASE("a mapping without a name is mergeable") {
  CHECK(mergeable_ranges("1000-3000 rw-p 00000000 00:00 0 \n") == Ranges{{0x1000, 0x3000}});
}

TEST_CASE("an executable mapping that is private and writable is mergeable") {
  CHECK(mergeable_ranges("1000-3000 rwxp 00000000 00:00 0\n") == Ranges{{0x1000, 0x3000}});
}

TEST_CASE("shared memory is not mergeable") {
  CHECK(mergeable_ranges("1000-3000 rw-s 00000000 00:01 5 /dev/zero (deleted)\n").empty());
}

TEST_CASE("a mapping that cannot be written is not mergeable") {
  CHECK(mergeable_ranges("1000-3000 r--p 00000000 fe:00 1573 /usr/bin/cat\n").empty());
}

TEST_CASE("what the kernel maps into every process is not mergeable") {
  const auto ranges = mergeable_ranges(
      "1000-2000 rw-p 00000000 00:00 0 [vvar]\n"
      "2000-3000 rw-p 00000000 00:00 0 [vvar_vclock]\n"
      "3000-4000 rw-p 00000000 00:00 0 [vdso]\n"
      "ffffffffff600000-ffffffffff601000 rwxp 00000000 00:00 0 [vsyscall]\n");

  CHECK(ranges.empty());
}

TEST_CASE("the last mapping counts without an end of line") {
  CHECK(mergeable_ranges("1000-3000 rw-p 00000000 00:00 0") == Ranges{{0x1000, 0x3000}});
}

TEST_CASE("lines that are no mapping are passed over") {
  const auto ranges = mergeable_ranges(
      "\n"
      "1000\n"
      "1000-\n"
      "1000-2000\n"
      "1000-2000 rw\n"
      "1000-2000xrw-p\n"
      "2000-1000 rw-p 00000000 00:00 0\n"
      "10000000000000000-20000000000000000 rw-p 00000000 00:00 0\n"
      "10000000000000000-2000 rw-p 00000000 00:00 0\n"
      "words-words rw-p 00000000 00:00 0\n"
      "5000-6000 rw-p 00000000 00:00 0\n");

  CHECK(ranges == Ranges{{0x5000, 0x6000}});
}

TEST_CASE("an empty list of mappings has no mergeable range") {
  CHECK(mergeable_ranges("").empty());
}
