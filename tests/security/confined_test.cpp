// SPDX-License-Identifier: Apache-2.0
//
// What every program of a sandbox is held by, whichever way it came in.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

#include "security/attack.hpp"
#include "support/command.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Sandbox;
using sbx::Spec;
using sbx::test::achieved;
using sbx::test::as_ordinary_user;
using sbx::test::kNothing;
using sbx::test::output_of;
using sbx::test::shell;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

constexpr const char* kStatus =
    "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status";

constexpr const char* kConfined =
    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
    "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

std::string all_from(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  return text;
}

/// What `script` writes that enters a running sandbox: as its main program, or beside it.
std::string output_entering(const std::string& script, bool main) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return "no pipe";
  sbx::Command command = shell(script).command;
  command.fds = {{ends[1], 1}};
  Sandbox sandbox = Sandbox::start({});
  if (main) {
    sandbox.exec_main(command);
  } else {
    sandbox.exec(command).wait();
  }
  ::close(ends[1]);
  std::string said = all_from(ends[0]);
  ::close(ends[0]);
  return said;
}

Spec without_init(Spec spec) {
  spec.init = sbx::Init::kNone;
  return spec;
}

Spec without_filter() {
  Spec spec;
  spec.seccomp = sbx::SeccompFilter::none();
  return spec;
}

/// Gives the calling process every capability that it has as an inheritable and an ambient one.
void make_capabilities_inheritable() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ::syscall(SYS_capget, &header, sets.data());
  for (auto& set : sets) set.inheritable = set.permitted;
  ::syscall(SYS_capset, &header, sets.data());
  for (unsigned capability = 0; capability < 64; ++capability)
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

std::string map_of(int pid) {
  std::ifstream map("/proc/" + std::to_string(pid) + "/uid_map");
  return {std::istreambuf_iterator<char>(map), {}};
}

}  // namespace

// CVE-2022-29162, CVE-2022-27650, CVE-2022-31214
TEST_CASE("whichever way it comes in, a program has no capability, no_new_privs and the filter") {
  CHECK(output_of(kStatus) == kConfined);
  CHECK(output_of(kStatus, without_init({})) == kConfined);
  CHECK(output_entering(kStatus, true) == kConfined);
  CHECK(output_entering(kStatus, false) == kConfined);
}

// CVE-2022-29162: a caller whose capabilities are inheritable, and the host's ids
TEST_CASE("what the caller's capabilities let him hand on is not handed on") {
  SBX_REQUIRE_ROOT();
  const std::string status = sbx::test::in_child([] {
    make_capabilities_inheritable();
    Spec spec;
    spec.user_namespace.mode = sbx::UserNamespace::Mode::kHost;
    return output_of(kStatus, spec) + output_of(kStatus, without_init(spec));
  });

  CHECK(status == std::string(kConfined) + kConfined);
}

// calls through other ABIs, and those whose arguments lie in memory
TEST_CASE("a program inside gets round the filter by no other ABI and no newer call") {
  for (const auto& filter :
       {sbx::SeccompFilter::default_profile(), sbx::SeccompFilter::no_set_id()}) {
    Spec spec;
    spec.seccomp = filter;
    CHECK(achieved("call-through-other-abi", {}, spec) == kNothing);
  }
  CHECK(achieved("clone-unseen") == kNothing);
}

// vsock, ciphers, packets
TEST_CASE("a program inside opens no socket that reaches past its network") {
  CHECK(achieved("open-families") == kNothing);
}

// CVE-2017-5226, CVE-2019-7303, CVE-2019-10063, CVE-2023-28100
TEST_CASE("a program on the caller's terminal cannot type there, nor take it over") {
  const std::string probe = sbx::test::build_root() / "tests/probe";
  for (const char* seccomp : {"default", "none"}) {
    auto start = sbx::test::sbx_run_start(
        {"--seccomp", seccomp, "--ro-bind", probe + ":/probe", "--", "/probe", "type"});
    start.terminal = true;
    const std::string said = sbx::test::run(start).out;

    // Without a filter the line discipline may be set, to what it is.
    CHECK(said.find("controlling") == std::string::npos);
    CHECK(said.find("TIOCSTI") == std::string::npos);
    CHECK(said.find("TIOCLINUX") == std::string::npos);
    CHECK(said.find("TIOCSCTTY") == std::string::npos);
    CHECK(said.find("done") != std::string::npos);
  }
}

// the session's keyring is in no namespace
TEST_CASE("a key of the caller's session is not found inside, filter or not") {
  const std::string found = sbx::test::in_child([] {
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
    const char* name = "sbx-test-secret";
    if (::syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
      return std::string("no keyrings");
    return achieved("find-key", name) + achieved("find-key", name, without_filter());
  });
  if (found == "no keyrings") SBX_SKIP("the kernel offers no keyrings");

  CHECK(found == std::string(kNothing) + kNothing);
}

// whatever is forgotten to be made anew
TEST_CASE("every namespace of a sandbox is its own") {
  std::string shared;
  std::istringstream names(output_of("cd /proc/self/ns; for n in *; do readlink $n; done"));
  for (std::string name; names >> name;) {
    const std::string kind = name.substr(0, name.find(':'));
    if (fs::read_symlink("/proc/self/ns/" + kind) == name) shared += kind + " ";
  }

  CHECK(shared.empty());
}

// limits that the kernel counts by user
TEST_CASE("sandboxes of root's have no ids in common") {
  SBX_REQUIRE_ROOT();
  std::array<std::string, 3> maps;
  for (std::string& map : maps) {
    const Sandbox sandbox = Sandbox::start({});
    map = map_of(sandbox.pid());
  }

  // Two of them may be equal by chance, one time in 24576.
  CHECK((maps[0] != maps[1] || maps[1] != maps[2]));
  CHECK(maps[0].find("         0          0 ") == std::string::npos);
}

// set-user-id programs, and devices that somebody left in a bind
TEST_CASE("every mount is nosuid, and nodev where there is no device of the sandbox's own") {
  const TempDir dir;
  Spec spec;
  spec.mounts = {sbx::Bind{.source = dir.path(), .target = "/data"},
                 sbx::Tmpfs{.target = "/scratch"}};
  const std::string script =
      "while read a b c d place options rest; do"
      "  case $options in *nosuid*) ;; *) echo $place suid ;; esac;"
      "  case $place,$options in *nodev*) ;; /dev/*) ;;"
      "    *) test -c $place || echo $place dev ;; esac;"
      "done < /proc/self/mountinfo";

  CHECK(output_of(script, spec).empty());
}

// settings that belong to the sandbox's own namespaces, the limit of user namespaces among them
TEST_CASE("not even root of a sandbox can write what is below /proc/sys") {
  Spec spec;
  spec.user = sbx::User{.uid = 0, .gid = 0};
  spec.capabilities = sbx::CapabilitySet::sandbox_root();
  const std::string script =
      "for f in user/max_user_namespaces net/ipv4/ip_forward kernel/shmmax kernel/hostname; do"
      "  (: >> /proc/sys/$f) 2>/dev/null && echo $f; done; id -u";

  CHECK(output_of(script, spec) == "0\n");
}

// kernel addresses, keys, messages, pressure of others
TEST_CASE("what /proc says of the host is covered") {
  const std::string script =
      "cd /proc; for f in acpi asound interrupts kcore key-users keys kmsg kpagecgroup kpagecount "
      "kpageflags latency_stats pressure sched_debug scsi timer_list timer_stats; do"
      "  if test -d $f; then ls -A $f; elif test -e $f; then timeout 5 head -c 1 $f; fi; done";

  CHECK(output_of(script).empty());
}

// descriptors that the caller forgot to close
TEST_CASE("neither the program nor process 1 keeps a descriptor of the caller's") {
  for (const auto init : {sbx::Init::kYes, sbx::Init::kNone}) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);  // not closed by execve
    Spec spec = shell("ls /proc/self/fd | tr '\\n' ' '; exec sleep 60");
    spec.init = init;
    int output[2];
    REQUIRE(::pipe2(output, O_CLOEXEC) == 0);
    spec.command.fds = {{output[1], 1}};
    Sandbox sandbox = Sandbox::start(spec);
    ::close(ends[1]);
    ::close(output[1]);
    pollfd hung_up{.fd = ends[0], .events = POLLIN, .revents = 0};

    CHECK(::poll(&hung_up, 1, 5000) == 1);
    char said[64]{};
    CHECK(::read(output[0], said, sizeof said - 1) > 0);
    CHECK(std::string(said) == "0 1 ");  // 0: the directory that is listed
    ::close(ends[0]);
    ::close(output[0]);
  }
}

// CVE-2019-5736: the file that process 1 runs from
TEST_CASE("nobody can change the program that process 1 runs from") {
  SBX_REQUIRE_ROOT();  // to reach it at all
  const Sandbox sandbox = Sandbox::start({});
  const std::string path = "/proc/" + std::to_string(sandbox.pid()) + "/exe";
  const sbx::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(file);

  CHECK((::fcntl(file.get(), F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)) ==
        (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK));
}

// the caller's secrets, after he cleared his environment
TEST_CASE("process 1 has no environment, and nothing of the caller in its command line") {
  SBX_REQUIRE_ROOT();  // to read it at all
  const Sandbox sandbox = Sandbox::start({});
  const auto text_of = [&](const std::string& name) {
    std::ifstream file("/proc/" + std::to_string(sandbox.pid()) + "/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };

  CHECK(text_of("environ").empty());
  CHECK(text_of("cmdline") == std::string("sbx-init") + '\0');
}

// memory and descriptors of process 1, by the user that it runs as
TEST_CASE("no call reaches into process 1") {
  CHECK(achieved("read-process", "1") == kNothing);
  CHECK(as_ordinary_user([] { return achieved("read-process", "1", without_filter()); }) ==
        kNothing);
}

// a device of the caller's that is something else
TEST_CASE("a device of the caller's that is not what its name says is refused") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  std::ofstream(dir.path() / "file") << "secret";
  const std::string said = sbx::test::in_child([&] {
    if (::unshare(CLONE_NEWNS) < 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
        ::mount((dir.path() / "file").c_str(), "/dev/null", nullptr, MS_BIND, nullptr) < 0)
      return std::string("cannot mount");
    Sandbox::start({});
    return std::string("started");
  });

  CHECK(said.find("'/dev/null'") != std::string::npos);
  CHECK(said.find("No such device") != std::string::npos);
}

// CVE by pid reuse: whoever has the number now
TEST_CASE("a sandbox that has ended is not killed by its old number") {
  SBX_REQUIRE_ROOT();  // to choose a number
  Sandbox sandbox = Sandbox::start(without_init(shell("true")));
  const int number = sandbox.pid();
  pollfd end{.fd = sandbox.fd(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&end, 1, 10'000) == 1);
  REQUIRE(::waitpid(number, nullptr, __WALL) == number);
  std::array<std::uint64_t, 11> arguments{};
  const std::array<int, 1> chosen{number};
  arguments[4] = SIGCHLD;
  arguments[8] = reinterpret_cast<std::uint64_t>(chosen.data());
  arguments[9] = chosen.size();
  int question[2];
  int answer[2];
  REQUIRE(::pipe2(question, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(answer, O_CLOEXEC) == 0);
  const long victim = ::syscall(SYS_clone3, arguments.data(), sizeof arguments);
  char byte = 'x';
  if (victim == 0) {
    ::close(question[1]);
    while (::read(question[0], &byte, 1) == 1 && ::write(answer[1], &byte, 1) == 1) {
    }
    ::_exit(0);
  }
  ::close(question[0]);
  ::close(answer[1]);
  if (victim < 0) SBX_SKIP("cannot choose the number of a process here");

  sandbox.kill();
  const bool asked = ::write(question[1], &byte, 1) == 1;
  const bool alive = asked && ::read(answer[0], &byte, 1) == 1;

  ::close(question[1]);
  ::close(answer[0]);
  ::waitpid(number, nullptr, 0);
  CHECK(alive);
}
