// SPDX-License-Identifier: Apache-2.0
//
// A root that a stranger made, or goes on to change.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "security/attack.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Spec;
using sbx::test::output_of;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

/// A root with a shell and every mount point.
void make_root(const fs::path& root) {
  for (const char* folder : {"bin", "dev", "proc", "sys", "tmp", "run", "etc", "var/tmp", "home",
                             "home/sandbox", "data"}) {
    fs::create_directories(root / folder);
  }
  ::chmod(root.c_str(), 0755);  // the program is neither its owner nor of its group
  fs::copy_file("/bin/sh", root / "bin/sh");
  std::FILE* libraries = ::popen("ldd /bin/sh | grep -o '/lib[^ ]*'", "r");
  char line[512];
  while (std::fgets(line, sizeof line, libraries) != nullptr) {
    const std::string path(line, std::string_view(line).find('\n'));
    fs::create_directories((root / path.substr(1)).parent_path());
    fs::copy_file(path, root / path.substr(1), fs::copy_options::skip_existing);
  }
  ::pclose(libraries);
}

Spec on_root(const fs::path& root) {
  Spec spec;
  spec.root.directory = root;
  return spec;
}

/// Exchanges two names without rest, from construction to destruction.
class Exchange {
 public:
  Exchange(const fs::path& a, const fs::path& b) : pid_(::fork()) {
    if (pid_ != 0) return;
    for (;;) ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  Exchange(Exchange&&) = delete;
  Exchange& operator=(Exchange&&) = delete;
  ~Exchange() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

}  // namespace

// CVE-2019-16884, CVE-2019-19921, CVE-2023-28642, CVE-2026-41579, CVE-2026-47766
TEST_CASE("a place of the sandbox's own that is a link in the root is refused or stays inside") {
  for (const char* place : {"dev", "proc", "tmp", "run", "sys", "etc"}) {
    const TempDir dir;
    make_root(dir.path() / "root");
    fs::create_directory(dir.path() / "target");
    fs::remove_all(dir.path() / "root" / place);
    fs::create_symlink(dir.path() / "target", dir.path() / "root" / place);

    try {
      output_of("echo x > /tmp/x; echo x > /etc/x", on_root(dir.path() / "root"));
    } catch (const sbx::SystemError&) {
    }

    CHECK(fs::is_empty(dir.path() / "target"));
  }
}

// CVE-2024-45310: directories made on the way to a mount point
TEST_CASE("a mount point behind a link of the root is not made outside") {
  const TempDir dir;
  make_root(dir.path() / "root");
  fs::create_directory(dir.path() / "target");
  ::chmod(dir.path().c_str(), 0755);  // nothing but the resolution holds it
  ::chmod((dir.path() / "target").c_str(), 0777);
  fs::create_symlink(dir.path() / "target", dir.path() / "root/link");
  Spec spec = on_root(dir.path() / "root");
  spec.mounts = {sbx::Tmpfs{.target = "/link/made"}};

  try {
    output_of("true", spec);
  } catch (const sbx::SystemError&) {
  }

  CHECK(fs::is_empty(dir.path() / "target"));
}

// CVE-2019-19921: a link that stays inside
TEST_CASE("a place of the sandbox's own that is a link to another of the root is refused") {
  for (const char* place : {"dev", "proc"}) {
    const TempDir dir;
    make_root(dir.path());
    fs::remove(dir.path() / place);
    fs::create_symlink("data", dir.path() / place);
    Spec spec = on_root(dir.path());
    spec.command.argv = {"/bin/sh", "-c", "true"};

    CHECK_THROWS_AS(sbx::Sandbox::start(spec), sbx::SystemError);
  }
}

// CVE-2019-19921: a bind that a link of the root turns towards /proc
TEST_CASE("a link in the root does not make a bind cover the sandbox's proc") {
  const TempDir dir;
  make_root(dir.path() / "root");
  fs::remove(dir.path() / "root/data");
  fs::create_symlink("/proc", dir.path() / "root/data");
  fs::create_directory(dir.path() / "fake");
  Spec spec = on_root(dir.path() / "root");
  spec.mounts = {sbx::Bind{.source = dir.path() / "fake", .target = "/data"}};
  spec.command.argv = {"/bin/sh", "-c", "true"};

  CHECK_THROWS_AS(sbx::Sandbox::start(spec), sbx::SystemError);
}

// CVE-2025-31133, CVE-2025-52565
TEST_CASE("devices that are links in the root do not open what is masked") {
  const TempDir dir;
  make_root(dir.path());
  fs::create_symlink("/proc/sys/kernel/core_pattern", dir.path() / "dev/null");
  fs::create_symlink("/proc/sys/kernel/core_pattern", dir.path() / "dev/console");

  CHECK(output_of("test -c /dev/null && echo device; read x < /proc/keys || echo masked;"
                  "echo x 2>/dev/null > /proc/sys/kernel/core_pattern || echo refused",
                  on_root(dir.path())) == "device\nmasked\nrefused\n");
}

// a caller that waits for ever
TEST_CASE("a FIFO in the place of the root's list of users holds nobody up") {
  const TempDir dir;
  make_root(dir.path());
  REQUIRE(::mkfifo((dir.path() / "etc/passwd").c_str(), 0644) == 0);

  CHECK(output_of("echo started", on_root(dir.path())) == "started\n");
}

// CVE-2021-30465, CVE-2024-45310
TEST_CASE("a root whose directories are exchanged for links during the start shows nothing more") {
  const TempDir dir;
  make_root(dir.path() / "root");
  fs::create_directory(dir.path() / "outside");
  fs::create_directory(dir.path() / "shown");
  std::ofstream(dir.path() / "outside/marker") << "host";
  fs::create_symlink(dir.path() / "outside", dir.path() / "link");
  Spec spec = on_root(dir.path() / "root");
  spec.mounts = {sbx::Bind{.source = dir.path() / "shown", .target = "/data/deep"}};
  REQUIRE(output_of("echo well", spec) == "well\n");
  const Exchange exchange(dir.path() / "root/data", dir.path() / "link");

  std::string seen;
  for (int i = 0; i < sbx::test::races(25); ++i) {
    try {
      seen += output_of("test -e /data/marker && echo seen", spec);
    } catch (const sbx::SystemError&) {
    }
  }

  CHECK(seen.empty());
  CHECK(std::distance(fs::directory_iterator(dir.path() / "outside"), {}) == 1);
}

// CVE-2024-42472, source swapped while it is opened
TEST_CASE("a source that is exchanged for a link during the start is bound as it was or refused") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  fs::create_directory(dir.path() / "source");
  fs::create_symlink("/etc", dir.path() / "link");
  Spec spec;
  spec.mounts = {sbx::Bind{.source = dir.path() / "source", .target = "/data", .read_only = true}};
  const Exchange exchange(dir.path() / "source", dir.path() / "link");

  std::string seen;
  for (int i = 0; i < sbx::test::races(25); ++i) {
    try {
      seen += output_of("ls /data", spec);
    } catch (const sbx::SystemError&) {
    }
  }

  CHECK(seen.empty());
}

// an ordinary caller's child opens a source once more
TEST_CASE("a source that is exchanged for another between two looks is refused") {
  const std::string refused = sbx::test::as_ordinary_user([] {
    const TempDir dir;
    fs::create_directory(dir.path() / "source");
    fs::create_directory(dir.path() / "other");
    Spec spec = sbx::test::shell("true");
    spec.mounts = {
        sbx::Bind{.source = dir.path() / "source", .target = "/data", .read_only = true}};
    const Exchange exchange(dir.path() / "source", dir.path() / "other");
    // One time in two the start finds the same directory again.
    for (int i = 0; i < 100; ++i) {
      try {
        sbx::run(spec);
      } catch (const sbx::SystemError& error) {
        if (error.code().value() == ESTALE) return std::string("refused");
      }
    }
    return std::string("always taken");
  });

  CHECK(refused == "refused");
}
