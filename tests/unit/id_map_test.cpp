// SPDX-License-Identifier: Apache-2.0
#include "sbx/id_map.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "kernel/namespace_cure.hpp"
#include "support/temp_dir.hpp"

using sbx::IdMap;
using sbx::IdRange;
using sbx::parse_id_map;
using sbx::detail::user_namespace_cure;

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string map_of(int ranges) {
  std::string text;
  for (int i = 0; i < ranges; ++i) {
    const auto id = std::to_string(i);
    text += (i == 0 ? "" : ",") + id + ":" + id + ":1";
  }
  return text;
}

}  // namespace

TEST_CASE("an id map is ranges of inside, outside and count") {
  CHECK(parse_id_map("0:1000:1") == IdMap{{.inside = 0, .outside = 1000, .count = 1}});
  CHECK(parse_id_map("0:1000:1,1:100000:65536") == IdMap{{0, 1000, 1}, {1, 100000, 65536}});
  CHECK(parse_id_map("0:0:4294967294") == IdMap{{0, 0, 4294967294}});
  CHECK(parse_id_map("4294967294:0:1") == IdMap{{4294967294, 0, 1}});
}

TEST_CASE("a range that is not three numbers is refused") {
  CHECK_THROWS_WITH_AS(parse_id_map("0:1000"),
                       "cannot read the id map '0:1000': a range is INSIDE:OUTSIDE:COUNT",
                       std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map(""), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:0:1,"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map(",0:0:1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:0:1:"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:0:1:1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0::1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:-1:1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:+1:1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0: 1:1"), std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:4294967295:1"), std::invalid_argument);
}

TEST_CASE("a range that is empty or ends beyond the last id is refused") {
  CHECK_THROWS_WITH_AS(parse_id_map("0:0:0"), "cannot read the id map '0:0:0': a range is empty",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(parse_id_map("4294967294:0:2"),
                       "cannot read the id map '4294967294:0:2': a range goes beyond the id "
                       "4294967294",
                       std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:4294967294:2"), std::invalid_argument);
}

TEST_CASE("ranges that overlap inside or outside are refused") {
  CHECK_THROWS_WITH_AS(parse_id_map("0:0:2,1:10:1"),
                       "cannot read the id map '0:0:2,1:10:1': two ranges overlap",
                       std::invalid_argument);
  CHECK_THROWS_AS(parse_id_map("0:0:2,2:1:1"), std::invalid_argument);
  CHECK_NOTHROW(parse_id_map("0:0:2,2:2:1"));
}

TEST_CASE("a map has at most 340 ranges") {
  CHECK(parse_id_map(map_of(340)).size() == 340);
  CHECK_THROWS_AS(parse_id_map(map_of(341)), std::invalid_argument);
}

TEST_CASE("a message about a very long map stays short") {
  const std::string text = "\n" + std::string(70'000, '7');

  CHECK_THROWS_WITH_AS(
      parse_id_map(text),
      ("cannot read the id map '\\x0a" + std::string(59, '7') + "...(70001 bytes)..." +
       std::string(60, '7') + "': a range is INSIDE:OUTSIDE:COUNT")
          .c_str(),
      std::invalid_argument);
}

TEST_CASE("an id is mapped by the range that covers it") {
  const IdMap map{{0, 1000, 1}, {1, 100000, 65536}};

  CHECK(sbx::map_to_outside(map, 0) == 1000);
  CHECK(sbx::map_to_outside(map, 1) == 100000);
  CHECK(sbx::map_to_outside(map, 65536) == 165535);
  CHECK_FALSE(sbx::map_to_outside(map, 65537));
  CHECK_FALSE(sbx::map_to_outside({}, 0));
}

TEST_CASE("subordinate ids are found by the user's name and by his number") {
  const sbx::test::TempDir dir;
  const auto file = dir.path() / "subuid";
  write(file, "ann:100000:65536\nbob:200000:10\n1000:300000:1\n");

  CHECK(sbx::subordinate_ids(file, "ann", 1000) ==
        std::vector<IdRange>{{0, 100000, 65536}, {0, 300000, 1}});
  CHECK(sbx::subordinate_ids(file, "carl", 7).empty());
}

TEST_CASE("lines of the subordinate ids that make no sense are passed over") {
  const sbx::test::TempDir dir;
  const auto file = dir.path() / "subuid";
  write(file, "\n# ann\nann\nann:\nann:1\nann:x:1\nann:1:0\nann:2:4294967294\nann:1:2:3\nann:5:6");

  CHECK(sbx::subordinate_ids(file, "ann", 1000) == std::vector<IdRange>{{0, 5, 6}});
}

TEST_CASE("nobody has subordinate ids where there is no such file") {
  CHECK(sbx::subordinate_ids("/absent/subuid", "ann", 1000).empty());
}

TEST_CASE("the cure for a user namespace too many names the limit") {
  const sbx::test::TempDir dir;
  write(dir.path() / "user/max_user_namespaces", "0\n");

  CHECK(user_namespace_cure(ENOSPC, dir.path()) ==
        "raise the sysctl user.max_user_namespaces, which is 0");
}

TEST_CASE("the cure for a forbidden user namespace names the setting that forbids it") {
  const sbx::test::TempDir dir;
  write(dir.path() / "kernel/unprivileged_userns_clone", "1\n");
  write(dir.path() / "kernel/apparmor_restrict_unprivileged_userns", "1\n");

  CHECK(user_namespace_cure(EPERM, dir.path()) ==
        "set the sysctl kernel.apparmor_restrict_unprivileged_userns to 0, or give the program an "
        "AppArmor profile that allows 'userns'");

  write(dir.path() / "kernel/unprivileged_userns_clone", "0\n");

  CHECK(user_namespace_cure(EPERM, dir.path()) ==
        "set the sysctl kernel.unprivileged_userns_clone to 1");
}

TEST_CASE("there is no cure when no setting is to blame") {
  const sbx::test::TempDir dir;

  CHECK(user_namespace_cure(EPERM, dir.path()).empty());
  CHECK(user_namespace_cure(ENOSPC, dir.path()).empty());
  CHECK(user_namespace_cure(EINVAL, dir.path()).empty());
}
