// SPDX-License-Identifier: Apache-2.0
#include "sbx/mount.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <sbx/error.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/host.hpp"
#include "support/one_thread.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Below;
using sbx::Mount;
using sbx::MountAttribute;
using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::OverlayOptions;
using sbx::SystemError;
using sbx::test::in_child;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

constexpr uid_t kUser = 4242;

/// Runs `body` in a child process that has a mount namespace of its own.
std::string in_mount_namespace(const std::function<std::string()>& body) {
  return in_child([&]() -> std::string {
    if (::unshare(CLONE_NEWNS) < 0) return "cannot unshare";
    sbx::make_mounts_private();
    return body();
  });
}

/// "written", or why `path` cannot be.
std::string write(const fs::path& path, const std::string& text = "new") {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return std::strerror(errno);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written ? "written" : "cut short";
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The parts with "|" between. Braces, unlike "+", have them made from the left to the right.
std::string in_turn(std::initializer_list<std::string> parts) {
  std::string all;
  for (const auto& part : parts) all += (all.empty() ? "" : "|") + part;
  return all;
}

/// What is in the directory, in order, with spaces between.
std::string list(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : " ") + name;
  return all;
}

/// Mounts on `path` a tmpfs with a directory "sub", and on that another with a file "inner".
void attach_two(const fs::path& path) {
  Mount::tmpfs().attach(path);
  fs::create_directory(path / "sub");
  Mount::tmpfs().attach(path / "sub");
  write(path / "sub" / "inner");
}

/// Directories for an overlay, with one file of the lower one.
struct Layers {
  explicit Layers(const std::string& suffix = "") {
    for (const char* name : {"lower", "upper", "work"}) {
      fs::create_directory(dir.path() / (name + suffix));
    }
    fs::create_directory(dir.path() / "merged");
    options = {.lower = {dir.path() / ("lower" + suffix)},
               .upper = dir.path() / ("upper" + suffix),
               .work = dir.path() / ("work" + suffix)};
    write(options.lower.front() / "file", "old");
  }

  TempDir dir;
  OverlayOptions options;
};

}  // namespace

TEST_CASE("a mount is seen by nobody until it is attached") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    const auto tmpfs = Mount::tmpfs();
    const auto file = ::openat(tmpfs.fd(), "file", O_WRONLY | O_CREAT, 0600);
    const auto before = file < 0 ? "no file" : "before: " + list(dir.path());
    tmpfs.attach(dir.path());
    return in_turn({before, list(dir.path())});
  });

  CHECK(said == "before: |file");
}

TEST_CASE("an attached mount stays when its object goes") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    Mount::tmpfs().attach(dir.path());
    return write(dir.path() / "file");
  });

  CHECK(said == "written");
  CHECK(list(dir.path()).empty());
}

TEST_CASE("a mount that is never attached leaves no descriptor") {
  SBX_REQUIRE_ROOT();
  const auto before = sbx::test::open_fds();

  Mount::tmpfs();
  CHECK_THROWS_AS(Mount::overlay({.lower = {"/etc", "/absent"}}), SystemError);

  CHECK(sbx::test::open_fds() == before);
}

TEST_CASE("a tmpfs has the size, the inodes and the mode that it was given") {
  SBX_REQUIRE_ROOT();

  const auto tmpfs = Mount::tmpfs({.size_bytes = 1 << 20, .inodes = 16, .mode = 01770});

  struct statvfs space {};
  struct stat root {};
  REQUIRE(::fstatvfs(tmpfs.fd(), &space) == 0);
  REQUIRE(::fstat(tmpfs.fd(), &root) == 0);
  CHECK(space.f_blocks * space.f_frsize == 1 << 20);
  CHECK(space.f_files == 16);
  CHECK((root.st_mode & 07777) == 01770);
}

TEST_CASE("an option that the kernel refuses is reported in its words") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_KERNEL("6.6");

  CHECK_THROWS_WITH_AS(
      Mount::tmpfs({.inodes = ~std::uint64_t{0}}),
      "cannot create a tmpfs with nr_inodes '18446744073709551615': Invalid argument; the kernel "
      "says: tmpfs: Bad value for 'nr_inodes'",
      SystemError);
}

TEST_CASE("a clone shows the same files, and can be made read-only by itself") {
  SBX_REQUIRE_ROOT();
  const TempDir source;
  const TempDir target;
  write(source.path() / "file", "old");

  const auto said = in_mount_namespace([&] {
    const auto clone = Mount::clone(source.path());
    clone.set(MountAttribute::kReadOnly | MountAttribute::kNoSuid);
    clone.attach(target.path());
    return in_turn({read(target.path() / "file"), write(target.path() / "file"),
                    write(source.path() / "file")});
  });

  CHECK(said == "old|Read-only file system|written");
}

TEST_CASE("an attribute that was set can be cleared") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    const auto tmpfs = Mount::tmpfs();
    tmpfs.attach(dir.path());
    tmpfs.set(MountAttribute::kReadOnly);
    const auto before = write(dir.path() / "file");
    tmpfs.clear(MountAttribute::kReadOnly);
    return in_turn({before, write(dir.path() / "file")});
  });

  CHECK(said == "Read-only file system|written");
}

TEST_CASE("the mounts below are part of a clone only when asked for") {
  SBX_REQUIRE_ROOT();
  const TempDir outer;
  const TempDir target;

  const auto said = in_mount_namespace([&] {
    attach_two(outer.path());
    Mount::clone(outer.path(), Below::kOnlyThis).attach(target.path());
    const auto alone = "alone: " + list(target.path() / "sub");
    Mount::clone(outer.path(), Below::kAll).attach(target.path());
    return in_turn({alone, list(target.path() / "sub")});
  });

  CHECK(said == "alone: |inner");
}

TEST_CASE("the mounts below are changed only when asked for") {
  SBX_REQUIRE_ROOT();
  const TempDir outer;

  const auto said = in_mount_namespace([&] {
    attach_two(outer.path());
    const auto all = Mount::clone(outer.path(), Below::kAll);
    all.attach(outer.path());
    all.set(MountAttribute::kReadOnly, Below::kOnlyThis);
    const auto before = write(outer.path() / "sub" / "inner");
    all.set(MountAttribute::kReadOnly, Below::kAll);
    return in_turn({before, write(outer.path() / "sub" / "inner")});
  });

  CHECK(said == "written|Read-only file system");
}

TEST_CASE("writing to an overlay leaves the lower directory as it was") {
  SBX_REQUIRE_ROOT();
  const Layers layers;
  const auto merged = layers.dir.path() / "merged";

  const auto said = in_mount_namespace([&] {
    Mount::overlay(layers.options).attach(merged);
    return in_turn({write(merged / "file"), read(merged / "file")});
  });

  CHECK(said == "written|new");
  CHECK(read(layers.options.lower.front() / "file") == "old");
  CHECK(read(layers.options.upper / "file") == "new");
}

TEST_CASE("an overlay's directories may have any name") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_KERNEL("6.5");
  const Layers layers(":,\\x \\\\=");
  const auto merged = layers.dir.path() / "merged";

  const auto said = in_mount_namespace([&] {
    Mount::overlay(layers.options).attach(merged);
    return in_turn({read(merged / "file"), write(merged / "file")});
  });

  CHECK(said == "old|written");
  CHECK(read(layers.options.upper / "file") == "new");
}

TEST_CASE("an overlay without an upper directory is read-only, its first directory on top") {
  SBX_REQUIRE_ROOT();
  const TempDir top;
  const TempDir bottom;
  const TempDir target;
  write(top.path() / "file", "top");
  write(bottom.path() / "file", "bottom");
  write(bottom.path() / "other");

  const auto said = in_mount_namespace([&] {
    Mount::overlay({.lower = {top.path(), bottom.path()}}).attach(target.path());
    return in_turn(
        {list(target.path()), read(target.path() / "file"), write(target.path() / "file")});
  });

  CHECK(said == "file other|top|Read-only file system");
}

TEST_CASE("an overlay has many layers with long names") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_KERNEL("6.8");
  const TempDir dir;
  const TempDir target;
  OverlayOptions options;
  for (const char* name : {"a", "b", "c", "d"}) {
    const auto layer = dir.path() / (name + std::string(100, ':'));
    fs::create_directory(layer);
    write(layer / name);
    options.lower.push_back(layer);
  }

  const auto said = in_mount_namespace([&] {
    Mount::overlay(options).attach(target.path());
    return list(target.path());
  });

  CHECK(said == "a b c d");
}

TEST_CASE("an overlay can be made in a user namespace of an ordinary user") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();
  const Layers layers;
  const auto merged = layers.dir.path() / "merged";
  fs::create_directories(layers.options.lower.front() / "sub" / "inner");
  for (const auto& entry : fs::recursive_directory_iterator(layers.dir.path())) {
    REQUIRE(::lchown(entry.path().c_str(), kUser, kUser) == 0);
  }
  REQUIRE(::lchown(layers.dir.path().c_str(), kUser, kUser) == 0);

  const auto said = in_child([&] {
    sbx::test::become_user(kUser);
    Namespace::create_user({{0, kUser, 1}}, {{0, kUser, 1}}).enter();
    return in_mount_namespace([&] {
      Mount::overlay(layers.options).attach(merged);
      fs::remove_all(merged / "sub");
      fs::create_directory(merged / "sub");
      return in_turn({write(merged / "file"), list(merged / "sub")});
    });
  });

  CHECK(said == "written|");
  CHECK(read(layers.options.lower.front() / "file") == "old");
}

TEST_CASE("an overlay that cannot be is refused with the directory to blame") {
  SBX_REQUIRE_ROOT();

  CHECK_THROWS_WITH_AS(Mount::overlay({}), "an overlay needs a lower directory",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Mount::overlay({.lower = {"/etc"}}),
                       "an overlay without an upper directory needs two lower ones",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Mount::overlay({.lower = {"/etc"}, .upper = "/tmp"}),
                       "an overlay needs both an upper and a work directory, or neither",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      Mount::overlay({.lower = {"/etc"}, .upper = std::string(300, 'x'), .work = "/tmp"}),
      ("cannot create an overlay over '/etc' with upperdir '" + std::string(60, 'x') +
       "...(300 bytes)..." + std::string(60, 'x') + "': File name too long")
          .c_str(),
      SystemError);
}

TEST_CASE("a proc file system shows the processes of its pid namespace") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    Mount::proc().attach(dir.path());
    return read(dir.path() / "self" / "stat").substr(0, 3) == read("/proc/self/stat").substr(0, 3)
               ? std::string("same")
               : std::string("other");
  });

  CHECK(said == "same");
}

TEST_CASE("a devpts is empty but for a ptmx that everybody may open") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    Mount::devpts().attach(dir.path());
    struct stat ptmx {};
    ::stat((dir.path() / "ptmx").c_str(), &ptmx);
    return list(dir.path()) + ((ptmx.st_mode & 0777) == 0666 ? " open" : " closed");
  });

  CHECK(said == "ptmx open");
}

TEST_CASE("an idmapped mount shows the ids through the maps of a user namespace") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_KERNEL("6.3");
  const auto owner_through = [](const Mount& mount) {
    struct stat status {};
    return ::fstat(mount.fd(), &status) == 0 ? static_cast<int>(status.st_uid) : -1;
  };
  const auto users = Namespace::create_user({{0, 1000, 1}}, {{0, 1000, 1}});
  const auto tmpfs = Mount::tmpfs();

  tmpfs.idmap(users);

  CHECK(owner_through(tmpfs) == 1000);
  CHECK_THROWS_WITH_AS(tmpfs.idmap(users), "cannot map the ids of a tmpfs: Operation not permitted",
                       SystemError);
  CHECK_THROWS_WITH_AS(Mount::proc().idmap(users),
                       "cannot map the ids of a proc file system: Invalid argument", SystemError);
}

TEST_CASE("a path that cannot be mounted, or mounted on, is named") {
  SBX_REQUIRE_ROOT();

  CHECK_THROWS_WITH_AS(Mount::clone("/absent\n"),
                       "cannot clone the mount at '/absent\\x0a': No such file or directory",
                       SystemError);
  CHECK(in_mount_namespace([]() -> std::string {
          Mount::clone("/etc").attach("/absent");
          return "attached";
        }) == "cannot mount '/etc' on '/absent': No such file or directory");
  CHECK(in_mount_namespace([]() -> std::string {
          Mount::tmpfs().attach("/etc/passwd");
          return "attached";
        }) == "cannot mount a tmpfs on '/etc/passwd': Invalid argument");
}

TEST_CASE("a symbolic link does not lead a mount to another place") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  fs::create_symlink("/etc", dir.path() / "link");

  const auto said = in_mount_namespace([&]() -> std::string {
    Mount::tmpfs().attach(dir.path() / "link");
    return "attached";
  });

  CHECK(said ==
        "cannot mount a tmpfs on '" + (dir.path() / "link").native() + "': Invalid argument");
}

TEST_CASE("an ordinary user cannot mount anything") {
  SBX_REQUIRE_ROOT();
  const auto as_user = [](const std::function<void()>& body) {
    return in_child([&]() -> std::string {
      sbx::test::become_user(kUser);
      body();
      return "done";
    });
  };

  CHECK(as_user([] { Mount::tmpfs(); }) == "cannot create a tmpfs: Operation not permitted");
  CHECK(as_user([] { Mount::clone("/etc"); }) ==
        "cannot clone the mount at '/etc': Operation not permitted");
  CHECK(as_user([] { sbx::make_mounts_private(); }) ==
        "cannot make the mounts private: Operation not permitted");
}

TEST_CASE("a new root hides the old one") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&] {
    Mount::tmpfs().attach(dir.path());
    write(dir.path() / "only");
    sbx::pivot_root(dir.path());
    return in_turn({list("/"), fs::current_path().native(), list("/..")});
  });

  CHECK(said == "only|/|only");
}

TEST_CASE("a directory that is no mount cannot become the root, and nothing changes") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;

  const auto said = in_mount_namespace([&]() -> std::string {
    Mount::tmpfs().attach(dir.path());
    fs::create_directory(dir.path() / "sub");
    fs::current_path("/usr");
    try {
      sbx::pivot_root(dir.path() / "sub");
    } catch (const SystemError& error) {
      return fs::current_path().native() + " " + error.what();
    }
    return "pivoted";
  });

  CHECK(said == "/usr cannot make '" + (dir.path() / "sub").native() +
                    "' the root: Invalid argument; it must be a mount point, and neither it nor "
                    "the root a shared mount");
}
