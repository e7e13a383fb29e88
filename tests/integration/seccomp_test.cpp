// SPDX-License-Identifier: Apache-2.0
#include "sbx/seccomp.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sbx/error.hpp"
#include "support/child.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::SeccompFilter;
using sbx::test::in_child;
using sbx::test::TempDir;

namespace {

// Newer than some headers.
constexpr long kFchmodat2 = 452;
constexpr long kOpenTreeAttr = 467;

void enter(const SeccompFilter& filter) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) throw std::runtime_error("no_new_privs");
  filter.load();
}

/// 0, or the errno of the call. The arguments are what no call takes, so that a call which should
/// have been refused, and was not, does nothing.
int answer(long number, long a = -1, long b = -1, long c = -1, long d = -1, long e = -1) {
  return ::syscall(number, a, b, c, d, e, -1L) < 0 ? errno : 0;
}

struct Call {
  const char* name;
  long number;
};

/// The calls that are not answered `expected` under `filter`, each with its answer, between words
/// that tell an empty list from a child that was killed.
template <typename Calls>
std::string not_answered(const SeccompFilter& filter, int expected, const Calls& calls) {
  return in_child([&] {
    ::setsid();
    enter(filter);
    std::string others = "others:";
    for (const Call& call : calls) {
      const int met = answer(call.number);
      if (met != expected) others += " " + std::string(call.name) + "=" + std::to_string(met);
    }
    return others;
  });
}

/// How a child ends that runs `body` under `filter`, in the words of wait(2): "exit N", "signal N".
template <typename F>
std::string end_under(const SeccompFilter& filter, F body) {
  const pid_t child = ::fork();
  if (child == 0) {
    enter(filter);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit " + std::to_string(WEXITSTATUS(status));
}

/// What a program prints that is started under `filter`.
std::string output_under(const SeccompFilter& filter, std::vector<const char*> argv) {
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe(ends) < 0) throw std::runtime_error("cannot make a pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    enter(filter);
    ::execvp(argv[0], const_cast<char* const*>(argv.data()));
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t size; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(size));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

/// clone(2) in the manner of fork(2): 0 or an errno, in the parent alone.
int clone_answer(unsigned long flags) {
  const long child = ::syscall(SYS_clone, flags, 0, 0, 0, 0);
  if (child == 0) ::_exit(0);
  return child < 0 ? errno : 0;
}

int thread_answer() {
  int value = 1;
  std::thread([&] { value = 0; }).join();
  return value;
}

int fork_answer() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child < 0) return errno;
  int status = 1;
  ::waitpid(child, &status, 0);
  return status;
}

/// The ways to give a file `mode` that are answered EPERM under `filter`.
std::string refused_modes(const SeccompFilter& filter, mode_t mode) {
  const TempDir dir;
  const std::string path = dir.path() / "file";
  std::ofstream{path};
  const auto at = [&](const char* name) { return (dir.path() / name).string(); };
  return in_child([&] {
    const int file = ::open(path.c_str(), O_RDWR);
    enter(filter);
    std::string refused = "refused:";
    const auto note = [&](const char* name, long result) {
      if (result < 0 && errno == EPERM) refused += std::string(" ") + name;
    };
#ifdef __x86_64__
    note("chmod", ::syscall(SYS_chmod, path.c_str(), mode));
    note("creat", ::syscall(SYS_creat, at("creat").c_str(), mode));
    note("mkdir", ::syscall(SYS_mkdir, at("mkdir").c_str(), mode));
    note("mknod", ::syscall(SYS_mknod, at("mknod").c_str(), S_IFREG | mode, 0));
    note("open", ::syscall(SYS_open, at("open").c_str(), O_CREAT | O_RDWR, mode));
    note("open-tmpfile", ::syscall(SYS_open, dir.path().c_str(), O_TMPFILE | O_RDWR, mode));
#endif
    note("fchmod", ::syscall(SYS_fchmod, file, mode));
    note("fchmodat", ::syscall(SYS_fchmodat, AT_FDCWD, path.c_str(), mode));
    note("fchmodat2", ::syscall(kFchmodat2, AT_FDCWD, path.c_str(), mode, 0));
    note("mkdirat", ::syscall(SYS_mkdirat, AT_FDCWD, at("mkdirat").c_str(), mode));
    note("mknodat", ::syscall(SYS_mknodat, AT_FDCWD, at("mknodat").c_str(), S_IFREG | mode, 0));
    note("openat", ::syscall(SYS_openat, AT_FDCWD, at("openat").c_str(), O_CREAT | O_RDWR, mode));
    note("openat-tmpfile",
         ::syscall(SYS_openat, AT_FDCWD, dir.path().c_str(), O_TMPFILE | O_RDWR, mode));
    return refused;
  });
}

const std::string kEveryMode =
#ifdef __x86_64__
    "refused: chmod creat mkdir mknod open open-tmpfile fchmod fchmodat fchmodat2 mkdirat mknodat "
    "openat openat-tmpfile";
#else
    "refused: fchmod fchmodat fchmodat2 mkdirat mknodat openat openat-tmpfile";
#endif

SeccompFilter filter_of(const std::string& json) {
  const TempDir dir;
  std::ofstream(dir.path() / "profile.json") << json;
  return SeccompFilter::from_file(dir.path() / "profile.json");
}

const auto kRefused = std::to_array<Call>({
    {"acct", SYS_acct},
    {"add_key", SYS_add_key},
    {"bpf", SYS_bpf},
    {"chroot", SYS_chroot},
    {"clock_settime", SYS_clock_settime},
    {"delete_module", SYS_delete_module},
    {"fanotify_init", SYS_fanotify_init},
    {"fanotify_mark", SYS_fanotify_mark},
    {"finit_module", SYS_finit_module},
    {"fsconfig", SYS_fsconfig},
    {"fsmount", SYS_fsmount},
    {"fsopen", SYS_fsopen},
    {"fspick", SYS_fspick},
    {"init_module", SYS_init_module},
    {"kexec_file_load", SYS_kexec_file_load},
    {"kexec_load", SYS_kexec_load},
    {"keyctl", SYS_keyctl},
    {"migrate_pages", SYS_migrate_pages},
    {"mount", SYS_mount},
    {"mount_setattr", SYS_mount_setattr},
    {"move_mount", SYS_move_mount},
    {"move_pages", SYS_move_pages},
    {"name_to_handle_at", SYS_name_to_handle_at},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"open_tree", SYS_open_tree},
    {"open_tree_attr", kOpenTreeAttr},
    {"perf_event_open", SYS_perf_event_open},
    {"pivot_root", SYS_pivot_root},
    {"quotactl", SYS_quotactl},
    {"quotactl_fd", SYS_quotactl_fd},
    {"reboot", SYS_reboot},
    {"request_key", SYS_request_key},
    {"setdomainname", SYS_setdomainname},
    {"sethostname", SYS_sethostname},
    {"setns", SYS_setns},
    {"settimeofday", SYS_settimeofday},
    {"swapoff", SYS_swapoff},
    {"swapon", SYS_swapon},
    {"syslog", SYS_syslog},
    {"umount2", SYS_umount2},
    {"unshare", SYS_unshare},
    {"userfaultfd", SYS_userfaultfd},
    {"vhangup", SYS_vhangup},
#ifdef __x86_64__
    {"ioperm", SYS_ioperm},
    {"iopl", SYS_iopl},
    {"sysfs", SYS_sysfs},
    {"uselib", SYS_uselib},
    {"ustat", SYS_ustat},
#endif
});

const auto kUnknown = std::to_array<Call>({
    {"clone3", SYS_clone3},
    {"io_uring_enter", SYS_io_uring_enter},
    {"io_uring_register", SYS_io_uring_register},
    {"io_uring_setup", SYS_io_uring_setup},
    {"openat2", SYS_openat2},
    {"999", 999},
    {"0x3fffffff", 0x3fffffff},
});

const auto kRefusedStrictly = std::to_array<Call>({
    {"accept4", SYS_accept4},
    {"connect", SYS_connect},
    {"fchmod", SYS_fchmod},
    {"fchownat", SYS_fchownat},
    {"io_setup", SYS_io_setup},
    {"kill", SYS_kill},
    {"linkat", SYS_linkat},
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"ptrace", SYS_ptrace},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo},
    {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo},
    {"sendmsg", SYS_sendmsg},
    {"sendto", SYS_sendto},
    {"setresuid", SYS_setresuid},
    {"setxattr", SYS_setxattr},
    {"shmget", SYS_shmget},
    {"socket", SYS_socket},
    {"socketpair", SYS_socketpair},
    {"tkill", SYS_tkill},
#ifdef __x86_64__
    {"fork", SYS_fork},
    {"vfork", SYS_vfork},
#endif
});

}  // namespace

TEST_CASE("the default profile answers EPERM to what it refuses on purpose") {
  CHECK(not_answered(SeccompFilter::default_profile(), EPERM, kRefused) == "others:");
}

TEST_CASE("the default profile answers ENOSYS to what it does not know or cannot judge") {
  CHECK(not_answered(SeccompFilter::default_profile(), ENOSYS, kUnknown) == "others:");
}

TEST_CASE("the default profile refuses every new namespace that clone could make") {
  const auto refused = [](unsigned long flag) {
    return end_under(SeccompFilter::default_profile(),
                     [=] { return clone_answer(flag | SIGCHLD); }) == "exit 1";
  };
  static_assert(EPERM == 1);

  CHECK(refused(CLONE_NEWUSER));
  CHECK(refused(CLONE_NEWNS));
  CHECK(refused(CLONE_NEWPID));
  CHECK(refused(CLONE_NEWNET));
  CHECK(refused(CLONE_NEWIPC));
  CHECK(refused(CLONE_NEWUTS));
  CHECK(refused(CLONE_NEWCGROUP));
  CHECK(refused(CLONE_NEWUSER | CLONE_NEWNS | CLONE_FILES));
  CHECK(refused(CLONE_NEWUSER | 1UL << 32));
}

TEST_CASE("the default profile leaves processes and threads alone") {
  const SeccompFilter filter = SeccompFilter::default_profile();

  CHECK(end_under(filter, fork_answer) == "exit 0");
  CHECK(end_under(filter, thread_answer) == "exit 0");
  CHECK(end_under(filter, [] { return clone_answer(CLONE_VFORK | SIGCHLD); }) == "exit 0");
}

TEST_CASE("the default profile leaves debuggers, tuning and newer calls alone") {
  const SeccompFilter filter = SeccompFilter::default_profile();

  CHECK(end_under(filter, [] { return answer(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }) == "exit 0");
  CHECK(end_under(filter, [] { return answer(SYS_personality, ADDR_NO_RANDOMIZE); }) == "exit 0");
  CHECK(end_under(filter, [] { return answer(SYS_ioprio_set, 1, 0, 3 << 13 | 7); }) == "exit 0");
  CHECK(end_under(filter, [] { return answer(SYS_process_vm_readv, ::getpid(), 0, 0, 0, 0); }) ==
        "exit " + std::to_string(EINVAL));
  CHECK(end_under(filter, [] { return answer(SYS_process_madvise); }) ==
        "exit " + std::to_string(EINVAL));
  CHECK(end_under(filter, [] { return answer(SYS_landlock_restrict_self, -1, 0); }) !=
        "exit " + std::to_string(ENOSYS));
  CHECK(end_under(filter, [] { return answer(SYS_kcmp, ::getpid(), ::getpid(), 0, 0, 0); }) ==
        "exit 0");
}

TEST_CASE("the default profile lets nobody type on a terminal, or change its line discipline") {
  const auto met = [](long request) {
    return end_under(SeccompFilter::default_profile(),
                     [=] { return answer(SYS_ioctl, -1, request); });
  };
  constexpr long kHighBit = 1L << 32;

  CHECK(met(TIOCSTI) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCLINUX) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCSTI | kHighBit) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCLINUX | kHighBit) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCSETD) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCSETD | kHighBit) == "exit " + std::to_string(EPERM));
  CHECK(met(TIOCGWINSZ) == "exit " + std::to_string(EBADF));
}

TEST_CASE("the default profile knows no sockets of the hypervisor and of the kernel's ciphers") {
  const auto met = [](long family) {
    return end_under(SeccompFilter::default_profile(),
                     [=] { return answer(SYS_socket, family, SOCK_STREAM, 0); });
  };

  CHECK(met(AF_VSOCK) == "exit " + std::to_string(EAFNOSUPPORT));
  CHECK(met(AF_VSOCK | 1L << 32) == "exit " + std::to_string(EAFNOSUPPORT));
  CHECK(met(AF_ALG) == "exit " + std::to_string(EAFNOSUPPORT));
  CHECK(met(AF_UNIX) == "exit 0");
  CHECK(met(AF_INET) == "exit 0");
}

TEST_CASE("the default profile refuses the set-id bits in every call that takes a mode") {
  CHECK(refused_modes(SeccompFilter::default_profile(), 04755) == kEveryMode);
  CHECK(refused_modes(SeccompFilter::default_profile(), 02755) == kEveryMode);
  CHECK(refused_modes(SeccompFilter::default_profile(), 06755) == kEveryMode);
  CHECK(refused_modes(SeccompFilter::default_profile(), 01755) == "refused:");
  CHECK(refused_modes(SeccompFilter::default_profile(), 0755) == "refused:");
}

TEST_CASE("a plain open may have anything in the register of the mode") {
  CHECK(end_under(SeccompFilter::default_profile(), [] {
          return answer(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/dev/null"), O_RDONLY, 07777);
        }) == "exit 0");
  CHECK(end_under(SeccompFilter::default_profile(), [] {
          return answer(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/"), O_DIRECTORY, -1);
        }) == "exit 0");
}

#ifdef __x86_64__
TEST_CASE("a call through another ABI ends the process") {
  const auto x32 = [] { return answer(0x40000000 | SYS_getpid); };
  const auto i386 = [] {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result)::"r8", "r9", "r10", "r11", "memory");
    return 0;
  };
  const std::string killed = "signal " + std::to_string(SIGSYS);
  const SeccompFilter from_file = filter_of(R"({"defaultAction": "SCMP_ACT_ALLOW",
      "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]})");

  CHECK(end_under(SeccompFilter::default_profile(), x32) == killed);
  CHECK(end_under(SeccompFilter::strict_profile(), x32) == killed);
  CHECK(end_under(from_file, x32) == killed);

  if (end_under(SeccompFilter::none(), i386) != "exit 0") SBX_SKIP("no int 0x80 on this kernel");
  CHECK(end_under(SeccompFilter::default_profile(), i386) == killed);
  CHECK(end_under(SeccompFilter::strict_profile(), i386) == killed);
  CHECK(end_under(from_file, i386) == killed);
}
#endif

TEST_CASE("a shell with pipes and a python with threads run under the default profile") {
  const SeccompFilter filter = SeccompFilter::default_profile();

  CHECK(output_under(filter, {"sh", "-c", "echo one two | (read a b; echo $b)"}) == "two\n");

  if (!std::filesystem::exists("/usr/bin/python3")) SBX_SKIP("no python3");
  CHECK(output_under(filter, {"/usr/bin/python3", "-c",
                              "import threading, subprocess, socket\n"
                              "t = threading.Thread(target=print, args=('thread',))\n"
                              "t.start(); t.join(); socket.socket().close()\n"
                              "print(subprocess.check_output(['echo', 'child']).decode())"}) ==
        "thread\nchild\n\n");
}

TEST_CASE("the strict profile refuses processes but not threads") {
  const SeccompFilter filter = SeccompFilter::strict_profile();

  CHECK(end_under(filter, fork_answer) == "exit " + std::to_string(EPERM));
  CHECK(end_under(filter, [] { return clone_answer(CLONE_VFORK | SIGCHLD); }) ==
        "exit " + std::to_string(EPERM));
  CHECK(end_under(filter, [] { return clone_answer(CLONE_NEWNS | CLONE_THREAD); }) ==
        "exit " + std::to_string(EPERM));
  CHECK(end_under(filter, thread_answer) == "exit 0");
}

TEST_CASE("the strict profile answers EPERM to all that it knows and a computation does not need") {
  CHECK(not_answered(SeccompFilter::strict_profile(), EPERM, kRefused) == "others:");
  CHECK(not_answered(SeccompFilter::strict_profile(), EPERM, kRefusedStrictly) == "others:");
  CHECK(not_answered(SeccompFilter::strict_profile(), ENOSYS, kUnknown) == "others:");
}

TEST_CASE("the strict profile refuses the set-id bits and every change of a mode") {
  CHECK(refused_modes(SeccompFilter::strict_profile(), 04755).find("mkdirat") != std::string::npos);
  CHECK(refused_modes(SeccompFilter::strict_profile(), 04755).ends_with(" openat openat-tmpfile"));
  CHECK(refused_modes(SeccompFilter::strict_profile(), 0755).find("openat") == std::string::npos);
}

TEST_CASE("programs start, compute and abort under the strict profile") {
  const SeccompFilter filter = SeccompFilter::strict_profile();

  CHECK(output_under(filter, {"/bin/echo", "in", "C"}) == "in C\n");
  CHECK(output_under(filter, {"/proc/self/exe", "--version"}).find("doctest") != std::string::npos);
  CHECK(end_under(filter, []() -> int {
          ::signal(SIGABRT, SIG_DFL);
          std::abort();
        }) == "signal " + std::to_string(SIGABRT));

  if (!std::filesystem::exists("/usr/bin/python3")) SBX_SKIP("no python3");
  CHECK(output_under(filter, {"/usr/bin/python3", "-c", "print(1)"}) == "1\n");
}

TEST_CASE("a filter needs no_new_privs or CAP_SYS_ADMIN") {
  const std::string said = in_child([] {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) < 0) return std::string("no user");
    SeccompFilter::default_profile().load();
    return std::string("loaded");
  });

  CHECK(said ==
        "cannot load the seccomp filter: Permission denied; set no_new_privs first, or hold "
        "CAP_SYS_ADMIN");
}

TEST_CASE("the profile 'none' loads no filter") {
  CHECK(end_under(SeccompFilter::none(), [] { return ::prctl(PR_GET_SECCOMP); }) == "exit 0");
  CHECK(end_under(SeccompFilter::default_profile(), [] { return ::prctl(PR_GET_SECCOMP); }) ==
        "exit 2");
}

TEST_CASE("the answers of a profile from a file are given") {
  const SeccompFilter filter = filter_of(R"({
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
      {"names": ["sethostname", "no_such_call", "fchmodat2"], "action": "SCMP_ACT_ERRNO",
       "errnoRet": 75},
      {"names": ["syslog"], "action": "SCMP_ACT_ERRNO"},
      {"names": ["vhangup"], "action": "SCMP_ACT_KILL_PROCESS"}
    ]})");

  CHECK(end_under(filter, [] { return answer(SYS_sethostname); }) == "exit 75");
  CHECK(end_under(filter, [] { return answer(kFchmodat2); }) == "exit 75");
  CHECK(end_under(filter, [] { return answer(SYS_syslog); }) == "exit " + std::to_string(EPERM));
  CHECK(end_under(filter, [] { return answer(SYS_vhangup); }) ==
        "signal " + std::to_string(SIGSYS));
  CHECK(end_under(filter, fork_answer) == "exit 0");
}

TEST_CASE("the default answer of a profile from a file is its own errno") {
  const SeccompFilter filter = filter_of(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "syscalls": [{"names": ["exit_group"], "action": "SCMP_ACT_ALLOW"}]})");

  // Past the C library, whose _exit asks a sanitizer first.
  CHECK(end_under(filter, [] { return answer(SYS_exit_group, answer(SYS_getppid)); }) == "exit 38");
}

TEST_CASE("conditions on different arguments must all hold, on the same argument one of them") {
  const auto with = [](const char* conditions) {
    return filter_of(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["kcmp"], "action": "SCMP_ACT_ERRNO", "errnoRet": 75, "args": [)" +
                     std::string(conditions) + "]}]}");
  };
  const auto met = [](const SeccompFilter& filter, long a, long b) {
    return end_under(filter, [=] { return answer(SYS_kcmp, a, b); }) == "exit 75";
  };
  const SeccompFilter all = with(R"({"index": 0, "value": 5, "op": "SCMP_CMP_EQ"},
                                    {"index": 1, "value": 240, "valueTwo": 16,
                                     "op": "SCMP_CMP_MASKED_EQ"})");
  const SeccompFilter any = with(R"({"index": 0, "value": 5, "op": "SCMP_CMP_EQ"},
                                    {"index": 0, "value": 6, "op": "SCMP_CMP_EQ"})");

  CHECK(met(all, 5, 0x11));
  CHECK(!met(all, 5, 0x31));
  CHECK(!met(all, 6, 0x11));
  CHECK(met(any, 5, 0));
  CHECK(met(any, 6, 0));
  CHECK(!met(any, 7, 0));
}

TEST_CASE("entries for other architectures, kernels and holders of capabilities do not apply") {
  const auto applies = [](const char* when) {
    const SeccompFilter filter = filter_of(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["kcmp"], "action": "SCMP_ACT_ERRNO", "errnoRet": 75, )" +
                                           std::string(when) + "}]}");
    return end_under(filter, [] { return answer(SYS_kcmp); }) == "exit 75";
  };

  CHECK(applies(R"("includes": {"arches": ["s390", "amd64", "arm64"]})"));
  CHECK(!applies(R"("includes": {"arches": ["s390"]})"));
  CHECK(!applies(R"("excludes": {"arches": ["amd64", "arm64"]})"));
  CHECK(applies(R"("excludes": {"arches": ["s390"]})"));
  CHECK(!applies(R"("includes": {"caps": ["CAP_SYS_ADMIN"]})"));
  CHECK(applies(R"("excludes": {"caps": ["CAP_SYS_ADMIN"]})"));
  CHECK(applies(R"("includes": {"minKernel": "4.8"})"));
  CHECK(!applies(R"("includes": {"minKernel": "999.0"})"));
  CHECK(applies(R"("includes": {}, "excludes": {}, "args": [])"));
}
