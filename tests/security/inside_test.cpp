// SPDX-License-Identifier: Apache-2.0
//
// What a program reaches from inside a sandbox: the host's files, settings and devices, process 1.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>

#include "sbx/fd.hpp"
#include "security/attack.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Spec;
using sbx::test::output_of;
using sbx::test::shell;
using sbx::test::TempDir;

namespace {

Spec with_hosts_ids() {
  Spec spec;
  spec.user_namespace.mode = sbx::UserNamespace::Mode::kHost;
  return spec;
}

mode_t mode_of(const char* path) {
  struct stat status {};
  return ::stat(path, &status) < 0 ? 0 : status.st_mode & 07777;
}

/// A /dev that only the calling process and its children see.
bool make_own_devices() {
  if (::unshare(CLONE_NEWNS) < 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
      ::mount("none", "/dev", "tmpfs", 0, "mode=0755") < 0)
    return false;
  ::umask(0);
  struct {
    const char* path;
    dev_t number;
  } const devices[] = {{"/dev/null", makedev(1, 3)},    {"/dev/zero", makedev(1, 5)},
                       {"/dev/full", makedev(1, 7)},    {"/dev/random", makedev(1, 8)},
                       {"/dev/urandom", makedev(1, 9)}, {"/dev/tty", makedev(5, 0)}};
  for (const auto& device : devices) {
    if (::mknod(device.path, S_IFCHR | 0666, device.number) < 0) return false;
  }
  return true;
}

constexpr const char* kReadInit =
    "for f in environ maps auxv mem; do head -c1 /proc/1/$f 2>/dev/null | tr -d '\\0'; done;"
    "for f in exe cwd root fd/0 fd/3; do readlink /proc/1/$f; done; tr '\\0' ' ' < /proc/1/cmdline";

}  // namespace

// CVE-2016-9962, environment kept by process 1
TEST_CASE("process 1 shows nothing of itself but its name") {
  CHECK(output_of(kReadInit) == "sbx-init ");
  CHECK(sbx::test::as_ordinary_user([] { return output_of(kReadInit); }) == "sbx-init ");
}

// CVE-2024-21626
TEST_CASE("a program has no other descriptors than those it was given") {
  CHECK(output_of("ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 ");  // 3: the listed directory
}

// CVE-2024-21626
TEST_CASE("a descriptor of a directory is not handed over") {
  const TempDir dir;
  const sbx::UniqueFd directory(::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Spec spec = shell("ls -a /proc/self/fd/0/..");
  spec.command.fds = {{directory.get(), 0}, {1, 1}, {2, 2}};

  CHECK_THROWS_AS(sbx::Sandbox::start(spec), std::invalid_argument);
}

// CVE-2024-21626
TEST_CASE("no inherited descriptor serves as a working directory outside") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);  // for every user
  const sbx::UniqueFd outside(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY));
  REQUIRE(outside);
  for (const auto init : {sbx::Init::kYes, sbx::Init::kNone}) {
    Spec spec = shell("true");
    spec.init = init;
    spec.command.workdir = "/proc/self/fd/" + std::to_string(outside.get());

    CHECK_THROWS_AS(sbx::Sandbox::start(spec), sbx::SystemError);
  }
}

// settings written as mapped real root
TEST_CASE("real root without capabilities cannot write the kernel's settings") {
  SBX_REQUIRE_ROOT();
  const std::string script =
      "for f in sys/kernel/core_pattern sys/kernel/modprobe sysrq-trigger; do"
      "  (: >> /proc/$f) 2>/dev/null && echo opened $f; done; id -u";

  CHECK(output_of(script, with_hosts_ids()) == "0\n");
}

// the mode of a shared device node; tried on nodes of the test's own, because a library that fails
// here would leave the host without /dev/null
TEST_CASE("real root without capabilities cannot change the host's device nodes") {
  SBX_REQUIRE_ROOT();
  const std::string said = sbx::test::in_child([] {
    if (!make_own_devices()) return std::string("cannot make devices");
    const std::string inside = output_of(
        "chmod 0600 /dev/full 2>/dev/null && echo changed; chmod 0600 /proc/keys 2>/dev/null &&"
        "echo changed; echo x > /dev/null && echo wrote",
        with_hosts_ids());
    const bool same = mode_of("/dev/null") == 0666 && mode_of("/dev/full") == 0666;
    return inside + (same ? "same" : "changed");
  });

  CHECK(said == "wrote\nsame");
}

// CVE-2022-0492
TEST_CASE("no control group can be mounted or written from inside") {
  Spec spec;
  spec.seccomp = sbx::SeccompFilter::none();
  const std::string script =
      "for c in memory pids rdma cpu; do mkdir /tmp/$c; mount -t cgroup -o $c none /tmp/$c"
      " 2>/dev/null && echo mounted; done; find / -name cgroup.procs -writable 2>/dev/null;"
      "find / -name release_agent 2>/dev/null";

  CHECK(output_of(script, spec).empty());
}

// kernel surface that user namespaces open
TEST_CASE("no further user namespace can be made, filter or not") {
  Spec spec;
  spec.seccomp = sbx::SeccompFilter::none();

  CHECK(output_of("unshare -U true 2>/dev/null && echo made").empty());
  CHECK(output_of("unshare -U true 2>/dev/null && echo made", spec).empty());
}

// one's own id, shared process ids
TEST_CASE("another sandbox of the same user has no process here") {
  const sbx::Sandbox other = sbx::Sandbox::start(shell("sleep 60"));
  const std::string number = std::to_string(other.pid());

  CHECK(output_of("kill -0 " + number + " 2>/dev/null && echo reached").empty());
  CHECK(sbx::test::achieved("read-process", number) == sbx::test::kNothing);
  CHECK(output_of("grep -l sleep /proc/[0-9]*/comm 2>/dev/null | wc -l") == "0\n");
}

// covert channels
TEST_CASE("shared memory, queues and abstract sockets are each sandbox's own") {
  Spec writer = shell("echo x > /dev/shm/mark; ipcmk -Q > /dev/null; sleep 60");
  const sbx::Sandbox other = sbx::Sandbox::start(writer);

  CHECK(output_of("ls /dev/shm /dev/mqueue | grep mark; ipcs -q | grep -c 0x; "
                  "grep -c @ /proc/net/unix") == "0\n0\n");
}
