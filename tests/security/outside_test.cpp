// SPDX-License-Identifier: Apache-2.0
//
// What a sandbox must not change outside: mounts, files that others run, what all share.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "sbx/fd.hpp"
#include "security/attack.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Spec;
using sbx::test::achieved;
using sbx::test::shell;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

/// A mount that is shared, as systemd has all of them, in a mount namespace of the calling process.
void share_mount(const fs::path& place) {
  if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
      ::mount(place.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) < 0 ||
      ::mount(nullptr, place.c_str(), nullptr, MS_SHARED, nullptr) < 0)
    throw std::system_error(errno, std::system_category(), "cannot share a mount");
}

std::string mounts_below(const fs::path& place) {
  std::ifstream table("/proc/self/mountinfo");
  std::string found;
  for (std::string line; std::getline(table, line);) {
    if (line.find(" " + place.native() + "/") != std::string::npos) found += line + "\n";
  }
  return found;
}

bool has_set_id_bits(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) != 0;
}

}  // namespace

// a bind of a shared mount: what is mounted on it inside stayed on the host
TEST_CASE("what is mounted inside a bind does not appear outside") {
  SBX_REQUIRE_ROOT();
  using Mode = sbx::UserNamespace::Mode;
  for (const Mode mode : {Mode::kAuto, Mode::kHost}) {
    const TempDir dir;
    const std::string seen = sbx::test::in_child([&] {
      share_mount(dir.path());
      fs::create_directories(dir.path() / "shown/inner");
      Spec spec = shell("true");
      spec.user_namespace.mode = mode;
      spec.mounts = {sbx::Bind{.source = dir.path() / "shown", .target = "/data"},
                     sbx::Tmpfs{.target = "/data/inner"}};
      const sbx::Output output = sbx::run(spec);
      return std::to_string(output.report.status) + mounts_below(dir.path());
    });

    CHECK(seen == "0");
  }
}

// the same for a root and its overlay
TEST_CASE("what is mounted on a given root, or over the host's, does not appear outside") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  const std::string seen = sbx::test::in_child([&] {
    share_mount(dir.path());
    for (const char* place : {"dev", "proc", "tmp", "var/tmp", "run", "home", "etc"})
      fs::create_directories(dir.path() / "root" / place);
    Spec spec;
    spec.command.argv = {"/absent"};
    spec.root.directory = dir.path() / "root";
    try {
      sbx::run(spec);
    } catch (const sbx::ExecError&) {
    }
    return "started " + mounts_below(dir.path());
  });

  CHECK(seen == "started ");
}

// the other way round, past nosuid and nodev
TEST_CASE("what is mounted outside on a bind that is shown already does not appear inside") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  const std::string seen = sbx::test::in_child([&] {
    share_mount(dir.path());
    fs::create_directories(dir.path() / "shown/inner");
    int ends[2];
    if (::pipe(ends) < 0) return std::string("no pipe");
    Spec spec = shell("read line; ls /data/inner; grep -c /inner /proc/self/mountinfo");
    spec.mounts = {sbx::Bind{.source = dir.path() / "shown", .target = "/data"}};
    int output[2];
    if (::pipe(output) < 0) return std::string("no pipe");
    spec.command.fds = {{ends[0], 0}, {output[1], 1}};
    sbx::Sandbox sandbox = sbx::Sandbox::start(spec);
    ::close(output[1]);
    ::mount("none", (dir.path() / "shown/inner").c_str(), "tmpfs", 0, nullptr);
    std::ofstream(dir.path() / "shown/inner/secret");
    if (::write(ends[1], "\n", 1) != 1) return std::string("cannot write");
    sandbox.wait();
    char said[64]{};
    return std::string(
        said, static_cast<std::size_t>(std::max<ssize_t>(0, ::read(output[0], said, sizeof said))));
  });

  CHECK(seen == "0\n");
}

// set-user-id files of root's, by every call, and by shared memory that no filter sees
TEST_CASE("no filter of one's own lets a program set the set-user-id bit in a writable bind") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  Spec spec;
  spec.seccomp = sbx::SeccompFilter::none();
  spec.mounts = {sbx::Bind{.source = dir.path(), .target = "/data"}};

  achieved("make-file", "/data/by-call", spec);
  achieved("make-file-by-ring", "/data/by-ring", spec);

  CHECK_FALSE(has_set_id_bits(dir.path() / "by-call"));
  CHECK_FALSE(has_set_id_bits(dir.path() / "by-ring"));
}

// capabilities of files, which set-user-id guards do not see: root's outside when they are user 0's
// inside
TEST_CASE("a file in a writable bind gets no capability that holds outside") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  Spec spec = shell("true");
  spec.user = sbx::User{.uid = 0, .gid = 0};
  spec.capabilities = sbx::CapabilitySet::sandbox_root().add(sbx::Capability::kSetfcap);
  spec.mounts = {sbx::Bind{.source = dir.path(), .target = "/data"}};

  CHECK_THROWS_WITH_AS(
      sbx::Sandbox::start(spec),
      "with the capability setfcap nothing can be bound writable: files could get there "
      "capabilities that hold outside",
      std::invalid_argument);
}

// 3072 of them are for all sandboxes together
TEST_CASE("one sandbox cannot take all terminals") {
  CHECK(achieved("take-terminals") == sbx::test::kNothing);
}

// what the kernel counts by the owner of a user namespace, and through him for its maker
TEST_CASE("a sandbox that takes all inotify instances leaves those of the host and of others") {
  SBX_REQUIRE_ROOT();
  int most = 0;
  std::ifstream("/proc/sys/fs/inotify/max_user_instances") >> most;
  if (most > 4096) SBX_SKIP("this host allows more inotify instances than a test should take");
  Spec spec = sbx::test::with_attack({}, "hold-inotify");
  spec.rlimits = {sbx::Rlimit{.resource = RLIMIT_NOFILE, .soft = 8192, .hard = 8192}};
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const sbx::UniqueFd taken(ends[0]);
  const sbx::UniqueFd theirs(ends[1]);
  spec.command.fds = {{theirs.get(), 1}};

  const sbx::Sandbox hoarder = sbx::Sandbox::start(spec);
  char byte = 0;
  REQUIRE(::read(taken.get(), &byte, 1) == 1);
  const sbx::Sandbox other = sbx::Sandbox::start(spec);
  REQUIRE(::read(taken.get(), &byte, 1) == 1);

  CHECK(byte == 'y');
  CHECK(sbx::UniqueFd(::inotify_init1(IN_CLOEXEC)));
}
