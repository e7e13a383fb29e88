// SPDX-License-Identifier: Apache-2.0
//
// What a sandbox sees: its root, its mounts, its own places to write.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/host.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

using sbx::Root;
using sbx::Spec;
using sbx::test::output_of;
using sbx::test::TempDir;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

/// Prints what of the host lies over or under the sandbox's root: what ".." leads to from there,
/// and mounts whose place the sandbox's own do not explain.
constexpr const char* kLookAround =
    "[ /.. -ef / ] || ls -a /..; [ /../.. -ef / ] || ls -a /../..; "
    "while read -r id parent number root place rest; do case $place in /) echo $place ;; "
    "/sys*|/run/*|/mnt*) echo $place ;; esac; done < /proc/self/mountinfo";

/// A root of the host's programs and nothing else, without a single mount point.
void make_root(const std::filesystem::path& root) {
  for (const char* library : {"/bin/sh", "/bin/cat", "/bin/touch", "/bin/ls"}) {
    std::filesystem::create_directories(root / "bin");
    std::filesystem::copy_file(library, root / std::filesystem::path(library).relative_path());
  }
  std::FILE* libraries = ::popen("ldd /bin/sh /bin/ls | grep -o '/lib[^ ]*' | sort -u", "r");
  char line[512];
  while (std::fgets(line, sizeof line, libraries) != nullptr) {
    std::string path(line);
    path.pop_back();
    const auto target = root / std::filesystem::path(path).relative_path();
    std::filesystem::create_directories(target.parent_path());
    std::filesystem::copy_file(path, target, std::filesystem::copy_options::skip_existing);
  }
  ::pclose(libraries);
}

uid_t owner_of(const std::filesystem::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) < 0 ? static_cast<uid_t>(-1) : status.st_uid;
}

}  // namespace

TEST_CASE("the host root shows programs, and neither secrets nor people") {
  CHECK(output_of("ls /etc/shadow /root/.ssh /srv /media /opt /var/lib /boot 2>/dev/null").empty());
  CHECK(output_of("test -x /usr/bin/env && echo there") == "there\n");
  CHECK(output_of("ls ~ | wc -l") == "0\n");
}

TEST_CASE("the root is read-only and the places to write are the sandbox's own") {
  const std::string script =
      "for d in / /etc /usr /dev /proc/sys; do touch $d/x 2>/dev/null && echo wrote $d; done;"
      "for d in /tmp /var/tmp /dev/shm /run $HOME; do touch $d/x && echo ok; done;"
      "stat -c %a /tmp /var/tmp /dev/shm | tr '\\n' ' '";

  CHECK(output_of(script) == "ok\nok\nok\nok\nok\n1777 1777 1777 ");
  CHECK_FALSE(std::filesystem::exists("/tmp/x"));
}

TEST_CASE("paths are as good with a slash at their end") {
  Spec spec;
  spec.user = sbx::User{.uid = ::geteuid() == 0 ? 1000 : ::geteuid(),
                        .gid = ::geteuid() == 0 ? 1000 : ::getegid(),
                        .name = "x",
                        .home = "/home/x/"};
  spec.mounts = {sbx::Tmpfs{.target = "/data/"}};

  CHECK(output_of("stat -c '%n %a' ~; touch ~/there && echo $HOME; grep -c ' /data ' /proc/mounts",
                  spec) == "/home/x 700\n/home/x\n1\n");
}

TEST_CASE("nothing is mounted on what is the sandbox's own") {
  for (const char* target : {"/dev", "/dev/", "/proc", "/proc/", "/proc/sys/../self"}) {
    Spec spec;
    spec.mounts = {sbx::Tmpfs{.target = target}};
    CHECK_THROWS_AS(sbx::Sandbox::start(spec), std::invalid_argument);
  }
}

TEST_CASE("a bind shows a directory, and what is written belongs to its owner") {
  const TempDir dir;
  Spec spec;
  spec.mounts = {sbx::Bind{.source = dir.path(), .target = "/data"}};

  sbx::Output output = [&] {
    spec.command.argv = {"/bin/sh", "-c", "echo made > /data/file && cat /data/file"};
    return sbx::run(spec);
  }();

  CHECK(output.out == "made\n");
  CHECK(text_of(dir.path() / "file") == "made\n");
  CHECK(owner_of(dir.path() / "file") == ::geteuid());
}

TEST_CASE("a read-only bind cannot be written through") {
  const TempDir dir;
  write_text(dir.path() / "file", "old");
  Spec spec;
  spec.mounts = {
      sbx::Bind{.source = dir.path() / "file", .target = "/data/file", .read_only = true}};

  CHECK(output_of("echo new > /data/file; cat /data/file", spec) == "old");
}

TEST_CASE("a bind of what is not there says so") {
  Spec spec = {.command = {.argv = {"true"}}};
  spec.mounts = {sbx::Bind{.source = "/absent/place", .target = "/data"}};

  CHECK_THROWS_WITH_AS(sbx::Sandbox::start(spec),
                       "cannot bind '/absent/place': No such file or directory", sbx::SystemError);
}

TEST_CASE("a symbolic link that somebody else could have put is not followed") {
  const TempDir dir;
  std::filesystem::create_directory(dir.path() / "open");
  ::chmod((dir.path() / "open").c_str(), 0777);
  std::filesystem::create_symlink("/etc", dir.path() / "open" / "link");
  Spec spec = {.command = {.argv = {"true"}}};
  spec.mounts = {sbx::Bind{.source = dir.path() / "open" / "link", .target = "/data"}};

  CHECK_THROWS_WITH_AS(sbx::Sandbox::start(spec),
                       ("cannot bind '" + (dir.path() / "open" / "link").native() +
                        "': Too many levels of symbolic links; the symbolic link 'link' on the way "
                        "stands in a directory "
                        "that others may write: name the place that it leads to")
                           .c_str(),
                       sbx::SystemError);
}

TEST_CASE("the caller's own symbolic links are followed") {
  const TempDir dir;
  write_text(dir.path() / "real" / "file", "found");
  std::filesystem::create_symlink("real", dir.path() / "link");
  Spec spec;
  spec.mounts = {sbx::Bind{.source = dir.path() / "link", .target = "/data", .read_only = true}};

  CHECK(output_of("cat /data/file", spec) == "found");
}

TEST_CASE("a tmpfs has the size and the number of files that were asked for") {
  Spec spec;
  spec.mounts = {sbx::Tmpfs{.target = "/small", .size_bytes = 65536, .inodes = 10}};

  CHECK(output_of("head -c 100000 /dev/zero > /small/f 2>/dev/null; stat -c %s /small/f", spec) ==
        "65536\n");
  CHECK(output_of("i=0; while touch /small/$i 2>/dev/null; do i=$((i+1)); done; echo $i", spec) ==
        "9\n");
}

TEST_CASE("shared memory has the size that was asked for") {
  Spec spec;
  spec.shm_bytes = 1 << 20;

  CHECK(output_of("df -k /dev/shm | tail -1 | awk '{print $2}'", spec) == "1024\n");
}

TEST_CASE("a given root is used as it is, and gets its mount points without being written to") {
  const TempDir dir;
  make_root(dir.path());
  Spec spec;
  spec.root.directory = dir.path();

  CHECK(output_of("ls /; test -c /dev/null && echo device; touch /tmp/x && echo wrote", spec) ==
        "bin\ndev\netc\nhome\nlib\nlib64\nproc\nrun\ntmp\nvar\ndevice\nwrote\n");
  CHECK(output_of("touch /x /bin/x 2>/dev/null || echo refused", spec) == "refused\n");
  CHECK_FALSE(std::filesystem::exists(dir.path() / "proc"));
}

TEST_CASE("a root that is a file is refused") {
  const TempDir dir;
  write_text(dir.path() / "file", "");
  Spec spec = {.command = {.argv = {"true"}}};
  spec.root.directory = dir.path() / "file";

  CHECK_THROWS_WITH_AS(
      sbx::Sandbox::start(spec),
      ("cannot use the root '" + (dir.path() / "file").native() + "': Not a directory").c_str(),
      sbx::SystemError);
}

TEST_CASE("a throw-away overlay can be written everywhere and leaves nothing") {
  SBX_REQUIRE_ROOT();  // what is root's can be shown as another's by root alone
  SBX_REQUIRE_HOST_WITH_OTHER_IDS();
  Spec spec;
  spec.root.overlay = Root::Overlay::kDiscard;
  const std::string script =
      "echo a > /new && echo b > /usr/lib/new && rm /usr/bin/env && cat /new /usr/lib/new; "
      "test -e /usr/bin/env || echo removed";

  CHECK(output_of(script, spec) == "a\nb\nremoved\n");
  CHECK_FALSE(std::filesystem::exists("/usr/lib/new"));
  CHECK(std::filesystem::exists("/usr/bin/env"));
}

TEST_CASE("an overlay that is kept shows its changes the next time") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_HOST_WITH_OTHER_IDS();
  const TempDir layer;
  Spec spec;
  spec.root.overlay = Root::Overlay::kKeep;
  spec.root.overlay_directory = layer.path();

  REQUIRE(output_of("echo kept > /usr/lib/kept; echo too > /kept; echo done", spec) == "done\n");

  CHECK(output_of("cat /usr/lib/kept /kept", spec) == "kept\ntoo\n");
  CHECK_FALSE(std::filesystem::exists("/usr/lib/kept"));
}

TEST_CASE("an overlay over a given root keeps what is written") {
  const TempDir root;
  const TempDir layer;
  make_root(root.path());
  Spec spec;
  spec.root.directory = root.path();
  spec.root.overlay = Root::Overlay::kKeep;
  spec.root.overlay_directory = layer.path();

  REQUIRE(output_of("echo kept > /bin/kept; cat /bin/kept", spec) == "kept\n");

  CHECK(output_of("cat /bin/kept", spec) == "kept\n");
  CHECK_FALSE(std::filesystem::exists(root.path() / "bin" / "kept"));
}

TEST_CASE("nothing of the host is left above or below the root, whatever it is made of") {
  const TempDir dir;
  make_root(dir.path() / "root");
  std::filesystem::create_directory(dir.path() / "layer");
  std::filesystem::create_directory(dir.path() / "given-layer");
  const Root roots[] = {
      {},
      {.overlay = Root::Overlay::kDiscard},
      {.overlay = Root::Overlay::kKeep, .overlay_directory = dir.path() / "layer"},
      {.directory = dir.path() / "root"},
      {.directory = dir.path() / "root", .overlay = Root::Overlay::kDiscard},
      {.directory = dir.path() / "root",
       .overlay = Root::Overlay::kKeep,
       .overlay_directory = dir.path() / "given-layer"}};

  for (const Root& root : roots) CHECK(output_of(kLookAround, {.root = root}) == "/\n");
}

TEST_CASE("a root whose proc or dev is a symbolic link is refused or harmless") {
  const TempDir dir;
  make_root(dir.path() / "root");
  std::filesystem::create_directory(dir.path() / "target");
  std::filesystem::create_symlink("../../target", dir.path() / "root" / "dev");
  Spec spec;
  spec.root.directory = dir.path() / "root";
  spec.command.argv = {"/bin/sh", "-c", "true"};

  CHECK_THROWS_AS(sbx::Sandbox::start(spec), sbx::SystemError);
  CHECK(std::filesystem::is_empty(dir.path() / "target"));
}

TEST_CASE("the working directory of a command must be there, the caller's own need not") {
  Spec spec;
  spec.command.workdir = "/usr/lib";
  CHECK(output_of("pwd", spec) == "/usr/lib\n");

  spec.command.workdir = "/absent";
  spec.command.argv = {"true"};
  CHECK_THROWS_WITH_AS(
      sbx::Sandbox::start(spec),
      "cannot change to the working directory '/absent': No such file or directory",
      sbx::SystemError);
}

TEST_CASE("the kernel's settings are read-only and its secrets are covered") {
  CHECK(output_of("echo x > /proc/sys/kernel/core_pattern 2>/dev/null || echo refused") ==
        "refused\n");
  CHECK(output_of("wc -c < /proc/keys") == "0\n");
}

TEST_CASE("not even the host's root can change the host's device nodes from inside") {
  SBX_REQUIRE_ROOT();
  Spec spec;
  spec.user_namespace.mode = sbx::UserNamespace::Mode::kHost;
  spec.seccomp = sbx::SeccompFilter::none();
  const auto before = std::filesystem::status("/dev/null").permissions();

  const std::string said = output_of(
      "for f in /dev/null /dev/zero /proc/kcore; do chmod 666 $f 2>/dev/null || echo refused; "
      "done; "
      "echo gone > /dev/null && echo written",
      spec);

  CHECK(said == "refused\nrefused\nrefused\nwritten\n");
  CHECK(std::filesystem::status("/dev/null").permissions() == before);
}
