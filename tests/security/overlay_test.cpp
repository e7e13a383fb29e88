// SPDX-License-Identifier: Apache-2.0
//
// What a program can leave in a layer that is kept.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.hpp"
#include "support/host.hpp"
#include "support/ordinary_user.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

using sbx::Root;
using sbx::test::output_of;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

sbx::Spec kept_in(const fs::path& layer) {
  sbx::Spec spec;
  spec.root.overlay = Root::Overlay::kKeep;
  spec.root.overlay_directory = layer;
  return spec;
}

}  // namespace

// set-user-id files of root's that a program wrote: copied up with their bit, and then changed by a
// shared mapping, which takes no bit away
TEST_CASE("a set-user-id file in a kept layer is out of other users' reach") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_HOST_WITH_OTHER_IDS();
  const TempDir layer;
  ::chmod(layer.path().c_str(), 0755);
  REQUIRE(output_of("touch /usr/bin/su && echo copied", kept_in(layer.path())) == "copied\n");
  const fs::path copy = layer.path() / "usr/upper/bin/su";
  struct stat status {};
  REQUIRE(::stat(copy.c_str(), &status) == 0);
  REQUIRE((status.st_mode & S_ISUID) != 0);

  const std::string reached = sbx::test::in_child([&] {
    sbx::test::become_user(1977);
    return std::string(::access(copy.c_str(), X_OK) == 0 ? "reached" : "closed");
  });

  CHECK(reached == "closed");
}

// the number of the sandbox's user is somebody's outside
TEST_CASE("the parts of a kept layer are the caller's outside, and no local user's") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_HOST_WITH_OTHER_IDS();
  const TempDir layer;
  REQUIRE(output_of("echo x > /usr/lib/x; echo made", kept_in(layer.path())) == "made\n");
  for (const char* part : {"usr", "root"}) {
    struct stat status {};
    REQUIRE(::stat((layer.path() / part).c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
    CHECK((status.st_mode & 07777) == 0700);
  }
}

// CVE-2026-3888: a directory that somebody else can fill
TEST_CASE("a layer is not kept in a directory that others may write to") {
  const TempDir layer;
  ::chmod(layer.path().c_str(), 0777);
  sbx::Spec spec = kept_in(layer.path());
  spec.command.argv = {"true"};

  CHECK_THROWS_AS(sbx::Sandbox::start(spec), sbx::SystemError);
}
