// SPDX-License-Identifier: Apache-2.0
#include "faults/tolerated.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

namespace faults {
namespace {

struct Errors {
  const char* call;
  std::vector<int> errors;
};

const std::vector<Errors> kErrors = {
    {"accept4", {EMFILE, ECONNABORTED}},
    {"access", {EACCES, ENOMEM}},
    {"bind", {EADDRINUSE, EACCES}},
    {"brk", {ENOMEM}},
    {"capget", {EPERM}},
    {"capset", {EPERM}},
    {"chdir", {EACCES, ENOENT}},
    {"clone", {EAGAIN, ENOMEM}},
    {"clone3", {EAGAIN, ENOSPC, EPERM}},
    {"close", {EIO, EINTR}},
    {"close_range", {ENOMEM, EMFILE}},
    {"connect", {EACCES, EAGAIN}},
    {"dup2", {EBUSY, EMFILE}},
    {"dup3", {EBUSY, EMFILE}},
    {"epoll_create1", {EMFILE, ENOMEM}},
    {"epoll_ctl", {ENOMEM, ENOSPC}},
    {"epoll_pwait", {EINTR, EBADF}},
    {"execve", {EACCES, ENOMEM}},
    {"execveat", {EACCES, ENOMEM, E2BIG}},
    {"faccessat2", {EACCES}},
    {"fchdir", {EACCES}},
    {"fchownat", {EPERM, ENOSPC}},
    {"fcntl", {EMFILE, EINVAL}},
    {"flock", {EINTR, ENOLCK}},
    {"fsconfig", {EINVAL, ENOMEM, EPERM}},
    {"fsmount", {EPERM, ENOSPC}},
    {"fsopen", {EPERM, EMFILE, ENODEV}},
    {"fstat", {ENOMEM, EACCES}},
    {"fstatfs", {EIO, ENOMEM}},
    {"futex", {EAGAIN, EINTR}},
    {"getcwd", {ENOENT, ENOMEM}},
    {"getdents64", {EIO, ENOENT}},
    {"getpid", {}},  // cannot fail
    {"getrandom", {EINTR, EAGAIN}},
    {"getrusage", {EINVAL}},
    {"getsockopt", {ENOBUFS}},
    {"ioctl", {EPERM, EIO}},
    {"keyctl", {EDQUOT, ENOMEM}},
    {"kill", {EPERM, ESRCH}},
    {"listen", {EADDRINUSE}},
    {"lseek", {EINVAL}},
    {"lstat", {EACCES, ENOMEM}},
    {"memfd_create", {EMFILE, ENOMEM}},
    {"mkdir", {ENOSPC, EACCES}},
    {"mkdirat", {ENOSPC, EACCES}},
    {"mmap", {ENOMEM}},
    {"mount_setattr", {EPERM, EINVAL, ENOENT}},
    {"move_mount", {EINVAL, EPERM, ENOENT}},
    {"mprotect", {ENOMEM}},
    {"mremap", {ENOMEM}},
    {"munmap", {ENOMEM}},
    {"newfstatat", {EACCES, ENOMEM}},
    {"open_tree", {EMFILE, EPERM, ENOENT}},
    {"openat", {EMFILE, EACCES, ENOMEM}},
    {"openat2", {EMFILE, EACCES, ENOMEM}},
    {"personality", {EINVAL}},
    {"pidfd_open", {EMFILE, ESRCH}},
    {"pidfd_send_signal", {EPERM}},
    {"pipe2", {EMFILE, ENFILE}},
    {"pivot_root", {EINVAL, EBUSY}},
    {"poll", {EINTR, ENOMEM}},
    {"ppoll", {EINTR, ENOMEM}},
    {"prctl", {EINVAL, EPERM}},
    {"pread64", {EIO, EINTR}},
    {"prlimit64", {EPERM}},
    {"read", {EIO, EINTR}},
    {"readlink", {EACCES, ENOMEM}},
    {"readlinkat", {EACCES, ENOMEM}},
    {"recvmsg", {ENOMEM, ECONNRESET}},
    {"rmdir", {EBUSY}},
    {"rt_sigaction", {EINVAL}},
    {"rt_sigprocmask", {EINVAL}},
    {"sched_getaffinity", {EINVAL}},
    {"seccomp", {ENOMEM, EACCES, EINVAL}},
    {"sendmsg", {ENOBUFS, EPIPE, EINTR}},
    {"sendto", {ENOBUFS, EPIPE}},
    {"setgroups", {EPERM, ENOMEM}},
    {"sethostname", {EPERM}},
    {"setpgid", {EACCES, EPERM}},
    {"setresgid", {EPERM, EAGAIN}},
    {"setresuid", {EPERM, EAGAIN}},
    {"setsid", {EPERM}},
    {"signalfd4", {EMFILE, ENOMEM}},
    {"socket", {EMFILE, ENOBUFS}},
    {"socketpair", {EMFILE, ENOMEM}},
    {"statfs", {EACCES}},
    {"symlinkat", {ENOSPC, EACCES}},
    {"umount2", {EBUSY, EPERM}},
    {"unlink", {EBUSY, EACCES}},
    {"unlinkat", {EBUSY, EACCES}},
    {"unshare", {EPERM, ENOSPC, ENOMEM}},
    {"vfork", {EAGAIN}},
    {"wait4", {EINTR}},
    {"waitid", {EINTR}},
    {"write", {EIO, ENOSPC, EINTR}},
};

/// These return what is, or never return: there is nothing that could fail.
const char* const kSure[] = {"exit",    "exit_group",      "getegid",      "geteuid",
                             "getgid",  "getpgid",         "getpgrp",      "getpid",
                             "getppid", "getsid",          "gettid",       "getuid",
                             "umask",   "restart_syscall", "rt_sigreturn", "sched_yield"};

/// A difference between a sandbox and that of a run without faults that is meant, and why.
struct Tolerated {
  const char* call;
  int error;         // 0: any
  const char* line;  // how the line of the probe, or of the caller's condition, begins
  const char* reason;
};

constexpr const char* kNotPublic = "what the caller may not look at on the host is not shown";
constexpr const char* kStrangers = "a file system that cannot map ids shows a stranger's files";
constexpr const char* kAnyDirectory = "without a --workdir the home and '/' do as well";
constexpr const char* kNoQueues = "a kernel without POSIX queues";
constexpr const char* kGivenRoot = "what cannot be opened in a given root is not in there";
constexpr const char* kNoPipe =
    "a pipe that cannot be read tells the keeper that sbx-run has ended";
constexpr const char* kNoSuchSetting = "the kernel says that the path itself is not there";

const Tolerated kTolerated[] = {
    {"openat", EACCES, "file /etc/", kNotPublic},
    {"openat", EACCES, "/etc/passwd ", kNotPublic},
    {"openat", EACCES, "/etc/group ", kNotPublic},
    {"openat", EACCES, "mount /etc/", kNotPublic},
    {"readlink", EACCES, "file /", kNotPublic},
    {"newfstatat", EACCES, "file /", kNotPublic},
    {"newfstatat", EACCES, "mount /", kNotPublic},
    {"newfstatat", EACCES, "open /usr/new-file", kNotPublic},
    {"openat2", EACCES, "mount /", kGivenRoot},
    {"openat2", EACCES, "file /", kGivenRoot},
    {"openat2", EACCES, "/etc/passwd ", kGivenRoot},
    {"openat2", EACCES, "/etc/group ", kGivenRoot},
    {"open_tree", ENOENT, "mount /proc/", kNoSuchSetting},
    {"read", EIO, "interface ", kNoPipe},
    {"chdir", 0, "directory ", kAnyDirectory},
    {"fsopen", ENODEV, "mount /dev/mqueue ", kNoQueues},
    {"fsopen", ENODEV, "file /dev/mqueue ", kNoQueues},
    {"mount_setattr", EINVAL, "mount /", kStrangers},
    {"mount_setattr", EINVAL, "file /", kStrangers},
    {"mount_setattr", EPERM, "mount /", kStrangers},
    {"mount_setattr", EPERM, "file /", kStrangers},
};

}  // namespace

std::vector<int> errors_of(const std::string& process, const std::string& call) {
  // It fails with a wrong argument alone, and parts of the C library end the process then.
  if (process == "caller" && call == "rt_sigprocmask") return {};
  if (std::find(std::begin(kSure), std::end(kSure), call) != std::end(kSure)) return {};
  const auto found = std::find_if(kErrors.begin(), kErrors.end(),
                                  [&](const Errors& errors) { return call == errors.call; });
  return found == kErrors.end() ? std::vector<int>{EPERM, ENOMEM, EIO} : found->errors;
}

bool is_tolerated(const sbx::test::Fault& fault, const std::string& line) {
  const std::string call = sbx::test::call_name(fault.at.number);
  return std::any_of(std::begin(kTolerated), std::end(kTolerated), [&](const Tolerated& entry) {
    const bool same_error = entry.error == 0 || entry.error == fault.error;
    return call == entry.call && same_error && line.rfind(entry.line, 2) == 2;
  });
}

}  // namespace faults
