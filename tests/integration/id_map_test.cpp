// SPDX-License-Identifier: Apache-2.0
#include "sbx/id_map.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sbx/error.hpp>
#include <sbx/mount.hpp>
#include <sbx/namespace.hpp>
#include <stdexcept>
#include <string>

#include "support/child.hpp"
#include "support/one_thread.hpp"
#include "support/ordinary_user.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::IdMap;
using sbx::write_id_maps;
using sbx::test::become_user;
using sbx::test::in_child;

#define REQUIRE_NEWUIDMAP() \
  if (::access("/usr/bin/newuidmap", X_OK) < 0) SBX_SKIP("needs the package uidmap")

namespace {

constexpr uid_t kUser = 4242;
constexpr uid_t kDaemon = 1;  // newuidmap(1) serves only whom it finds in /etc/passwd

/// A process in a user namespace of its own, until the end of this object.
class Target {
 public:
  Target() {
    const auto wait = [](void*) { return ::pause(); };
    pid_ = ::clone(wait, stack_ + sizeof stack_, CLONE_NEWUSER | SIGCHLD, nullptr);
    if (pid_ < 0) throw std::runtime_error("cannot clone");
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  Target(Target&&) = delete;
  Target& operator=(Target&&) = delete;
  ~Target() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] int pid() const { return pid_; }

  /// A file below /proc/PID without its padding and line ends.
  [[nodiscard]] std::string read(const char* name) const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/" + name);
    std::string text;
    for (std::string word; file >> word;) text += (text.empty() ? "" : " ") + word;
    return text;
  }

  [[nodiscard]] std::string shown() const {
    return read("uid_map") + " / " + read("gid_map") + " / " + read("setgroups");
  }

 private:
  alignas(16) char stack_[16384];
  pid_t pid_ = -1;
};

/// `message` with the number of the process in it replaced by PID.
std::string without_pid(std::string message, int pid) {
  const std::string number = "process " + std::to_string(pid);
  const auto at = message.find(number);
  if (at != std::string::npos) message.replace(at, number.size(), "process PID");
  return message;
}

/// What becomes of a process of `user` when he writes these maps, or why they cannot be written.
std::string maps_by(uid_t user, const IdMap& uids, const IdMap& gids) {
  return in_child([&] {
    become_user(user);
    const Target target;
    try {
      write_id_maps(target.pid(), uids, gids);
    } catch (const sbx::SystemError& error) {
      return without_pid(error.what(), target.pid());
    }
    return target.shown();
  });
}

/// Calls `body` in a child process that sees `text` as /etc/subuid and as /etc/subgid.
template <typename F>
std::string with_subordinate_ids(const std::string& text, F body) {
  const sbx::test::TempDir dir;
  const auto file = dir.path() / "subid";
  std::ofstream(file) << text;
  return in_child([&]() -> std::string {
    if (::unshare(CLONE_NEWNS) < 0) return "cannot unshare";
    sbx::make_mounts_private();
    sbx::Mount::clone(file).attach("/etc/subuid");
    sbx::Mount::clone(file).attach("/etc/subgid");
    return body();
  });
}

}  // namespace

TEST_CASE("a privileged user writes any map himself") {
  SBX_REQUIRE_ROOT();
  const Target target;

  write_id_maps(target.pid(), {{0, 100000, 10}, {10, 0, 1}}, {{5, 200000, 7}});

  CHECK(target.shown() == "0 100000 10 10 0 1 / 5 200000 7 / allow");
}

TEST_CASE("an ordinary user maps his own id, and setgroups is denied") {
  SBX_REQUIRE_ROOT();

  CHECK(maps_by(kUser, {{0, kUser, 1}}, {{9, kUser, 1}}) == "0 4242 1 / 9 4242 1 / deny");
}

TEST_CASE("a map without ranges is left to be written later") {
  SBX_REQUIRE_ROOT();
  const Target target;

  write_id_maps(target.pid(), {}, {});

  CHECK(target.shown() == " /  / allow");
}

TEST_CASE("who has moved into a new user namespace can map the id that he had") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();

  const auto said = in_child([] {
    become_user(kUser);
    if (::unshare(CLONE_NEWUSER) < 0) return std::string("cannot unshare");
    write_id_maps(::getpid(), {{0, kUser, 1}}, {{0, kUser, 1}});
    return std::to_string(::getuid()) + ":" + std::to_string(::getgid());
  });

  CHECK(said == "0:0");
}

TEST_CASE("an ordinary user's subordinate ids are written by newuidmap") {
  SBX_REQUIRE_ROOT();
  REQUIRE_NEWUIDMAP();

  const auto said = with_subordinate_ids("daemon:100000:65536\n", [] {
    const IdMap map{{0, kDaemon, 1}, {1, 100000, 65536}};
    return maps_by(kDaemon, map, map);
  });

  CHECK(said.starts_with("0 1 1 1 100000 65536 / 0 1 1 1 100000 65536 / "));
}

TEST_CASE("newuidmap's outcome is known to a program that ignores its children") {
  SBX_REQUIRE_ROOT();
  REQUIRE_NEWUIDMAP();

  const auto said = with_subordinate_ids("daemon:100000:65536\n", [] {
    ::signal(SIGCHLD, SIG_IGN);
    return maps_by(kDaemon, {{0, 100000, 65536}}, {{0, 100000, 65536}}) +
           maps_by(kDaemon, {{0, 100000, 65537}}, {});
  });

  CHECK(said ==
        "0 100000 65536 / 0 100000 65536 / allow"
        "cannot write the uid_map '0 100000 65537' of process PID: Operation not permitted; "
        "newuidmap: uid range [0-65537) -> [100000-165537) not allowed; what a user may map is in "
        "/etc/subuid");
}

TEST_CASE("ids that are not the user's are refused with newuidmap's own words") {
  SBX_REQUIRE_ROOT();
  REQUIRE_NEWUIDMAP();

  const auto said = with_subordinate_ids("daemon:100000:10\n", [] {
    return maps_by(kDaemon, {{0, 100000, 10}}, {{0, 0, 1}});
  });

  CHECK(said ==
        "cannot write the gid_map '0 0 1' of process PID: Operation not permitted; newgidmap: gid "
        "range [0-1) -> [0-1) not allowed; what a user may map is in /etc/subgid");
}

TEST_CASE("a missing newuidmap is named with the package that has it") {
  SBX_REQUIRE_ROOT();

  const auto said = in_child([]() -> std::string {
    if (::unshare(CLONE_NEWNS) < 0) return "cannot unshare";
    sbx::make_mounts_private();
    const auto nothing = sbx::Mount::tmpfs();
    nothing.attach("/usr/bin");
    if (!std::filesystem::is_symlink("/bin")) sbx::Mount::tmpfs().attach("/bin");
    return maps_by(kUser, {{0, 100000, 2}}, {});
  });

  CHECK(said == "cannot run 'newuidmap': No such file or directory; install the package uidmap");
}

TEST_CASE("a map can be written once") {
  SBX_REQUIRE_ROOT();
  const Target target;
  write_id_maps(target.pid(), {{0, 0, 1}}, {{0, 0, 1}});

  const auto said = in_child([&]() -> std::string {
    write_id_maps(target.pid(), {{0, 0, 1}}, {});
    return "written";
  });

  CHECK(without_pid(said, target.pid()) ==
        "cannot write the uid_map '0 0 1' of process PID: Operation not permitted");
}

TEST_CASE("the process of somebody else has maps that an ordinary user cannot write") {
  SBX_REQUIRE_ROOT();
  const Target target;

  const auto said = in_child([&]() -> std::string {
    become_user(kUser);
    write_id_maps(target.pid(), {{0, kUser, 1}}, {});
    return "written";
  });

  CHECK(without_pid(said, target.pid()) ==
        "cannot write the uid_map '0 4242 1' of process PID: Permission denied");
}

TEST_CASE("a process that is gone has no maps to write") {
  CHECK_THROWS_WITH_AS(
      write_id_maps(999999999, {{0, 0, 1}, {1, 100000, 65536}}, {}),
      "cannot write the uid_map '0 0 1, 1 100000 65536' of process 999999999: No such process",
      sbx::SystemError);
}

TEST_CASE("a map that the kernel cannot take is refused with its rules") {
  SBX_REQUIRE_ROOT();
  const Target target;

  const auto said = in_child([&]() -> std::string {
    write_id_maps(target.pid(), {{0, 0, 2}, {1, 5, 1}}, {});
    return "written";
  });

  CHECK(without_pid(said, target.pid()) ==
        "cannot write the uid_map '0 0 2, 1 5 1' of process PID: Invalid argument; a map is at "
        "most 340 ranges in a page of text, which do not overlap");
}
