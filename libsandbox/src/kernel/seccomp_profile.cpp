// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_profile.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sbx::detail {
namespace {

// --- calls by name -----------------------------------------------------------------------------
//
// Each table is a list of groups, each group a string of names.
//
// A call that stands in no table is answered ENOSYS. That is on purpose for
//  - clone3 and openat2, whose flags and mode lie in memory, out of a filter's sight: programs fall
//    back to clone and openat, which can be judged;
//  - io_uring_*, which does through shared memory what a filter would refuse, sockets and modes
//    included;
//  - calls that were removed, and calls that are newer than these tables.

/// What a computation needs, its start and its dynamic linker included.
constexpr std::string_view kComputation[] = {
    // memory
    R"(brk madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap
       mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect)",
    // open files
    R"(close close_range copy_file_range dup dup2 dup3 fadvise64 fallocate fcntl fdatasync
       flock fsync ftruncate ioctl lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
       readahead readv sendfile splice sync_file_range tee write writev)",
    // names and their state
    R"(access cachestat chdir creat faccessat faccessat2 fchdir fstat fstatfs getcwd getdents
       getdents64 lstat mkdir mkdirat newfstatat open openat readlink readlinkat rename
       renameat renameat2 rmdir stat statfs statx truncate umask unlink unlinkat)",
    // waiting and pipes
    R"(epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
       eventfd2 pause pipe pipe2 poll ppoll pselect6 select)",
    // threads; clone is judged by its flags below
    R"(arch_prctl clone futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list
       getcpu gettid rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
       sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
       sched_yield set_robust_list set_tid_address)",
    // the process itself; execve starts it, under the filter already
    R"(execve execveat exit exit_group getegid geteuid getgid getgroups getpgid getpgrp getpid
       getppid getpriority getresgid getresuid getrlimit getrusage getsid getuid prctl
       prlimit64 setrlimit sysinfo times uname wait4 waitid)",
    // signals; tgkill is what abort and raise call
    R"(restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
       rt_sigtimedwait sigaltstack signalfd signalfd4 tgkill uprobe uretprobe)",
    // time and chance
    R"(alarm clock_getres clock_gettime clock_nanosleep getitimer getrandom gettimeofday
       nanosleep setitimer time timer_create timer_delete timer_getoverrun timer_gettime
       timer_settime timerfd_create timerfd_gettime timerfd_settime)",
};

/// What other programs may need, and what harms nobody outside.
constexpr std::string_view kHarmless[] = {
    // files
    R"(chmod chown fchmod fchmodat fchmodat2 fchown fchownat fgetxattr file_getattr
       file_setattr flistxattr fremovexattr fsetxattr futimesat getxattr getxattrat
       inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link
       linkat listmount listxattr listxattrat llistxattr lremovexattr lsetxattr mknod mknodat
       removexattr removexattrat setxattr setxattrat statmount symlink symlinkat sync
       sync_file_range2 syncfs utime utimensat utimes vmsplice)",
    // asynchronous I/O in the old manner
    R"(io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit)",
    // memory and its placement
    R"(get_mempolicy mbind memfd_secret process_madvise process_mrelease remap_file_pages
       set_mempolicy set_mempolicy_home_node)",
    // processes, for as far as they see and outrank each other
    R"(fork get_thread_area kcmp kill modify_ldt personality pidfd_getfd pidfd_open
       pidfd_send_signal process_vm_readv process_vm_writev ptrace rt_sigqueueinfo
       rt_tgsigqueueinfo set_thread_area tkill vfork)",
    // identity, which no_new_privs and the capabilities bound
    R"(capget capset setfsgid setfsuid setgid setgroups setpgid setregid setresgid setresuid
       setreuid setsid setuid)",
    // scheduling
    R"(ioprio_get ioprio_set sched_setattr sched_setparam sched_setscheduler setpriority)",
    // System V and POSIX IPC
    R"(mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
       msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget)",
    // sockets; socket is judged by its family below
    R"(accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
       recvmsg sendmmsg sendmsg sendto setsockopt shutdown socket socketpair)",
    // narrowing one's own rights
    R"(landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr
       lsm_list_modules seccomp)",
    // the clock, which is read in this way, too
    R"(adjtimex clock_adjtime)",
};

/// Refused on purpose: the program asks for what a sandbox must not give.
constexpr std::string_view kRefused[] = {
    // the tree of mounts
    R"(chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree
       open_tree_attr pivot_root umount2)",
    // namespaces
    R"(setns unshare)",
    // files by handle, past every directory on the way; and watching whole mounts
    R"(fanotify_init fanotify_mark lookup_dcookie name_to_handle_at open_by_handle_at)",
    // the kernel and its modules
    R"(bpf create_module delete_module finit_module get_kernel_syms init_module kexec_file_load
       kexec_load perf_event_open query_module syslog userfaultfd)",
    // the machine and its state
    R"(acct clock_settime ioperm iopl nfsservctl quotactl quotactl_fd reboot setdomainname
       sethostname settimeofday swapoff swapon sysfs uselib ustat vhangup)",
    // memory of other processes, moved between nodes
    R"(migrate_pages move_pages)",
    // keyrings, which no namespace divides
    R"(add_key keyctl request_key)",
};

// --- calls by their arguments ------------------------------------------------------------------
//
// The kernel takes most flags as 32 bits of a 64-bit register, so a comparison of all 64 would miss
// what the kernel obeys. Every comparison here is a masked one.

constexpr std::uint64_t kLow32 = 0xffffffff;

scmp_arg_cmp masked(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {.arg = index, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

scmp_arg_cmp has(unsigned index, std::uint64_t bit) { return masked(index, bit, bit); }

constexpr std::uint64_t kNamespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                         CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

// Of a terminal that may be shared with a shell outside: the first two put bytes into its input,
// the third gives it to another part of the kernel, which is loaded for that.
constexpr std::uint64_t kTerminalRequests[] = {TIOCSTI, TIOCLINUX, TIOCSETD};

// The first reaches the hypervisor past every network namespace; the second is a large part of the
// kernel that hardly a program uses, and those that do have a fallback.
constexpr std::uint64_t kForeignFamilies[] = {AF_VSOCK, AF_ALG};

struct ModeArgument {
  std::string_view call;
  unsigned mode;
};

constexpr ModeArgument kSetsMode[] = {{"chmod", 1},     {"fchmod", 1}, {"fchmodat", 2},
                                      {"fchmodat2", 2}, {"creat", 1},  {"mkdir", 1},
                                      {"mkdirat", 2},   {"mknod", 1},  {"mknodat", 2}};

struct OpenArguments {
  std::string_view call;
  unsigned flags;
  unsigned mode;
};

constexpr OpenArguments kOpens[] = {{"open", 1, 2}, {"openat", 2, 3}};

// Without one of these, open(2) takes no mode and its register holds whatever was there.
constexpr std::uint64_t kCreates[] = {O_CREAT, O_TMPFILE & ~O_DIRECTORY};

constexpr std::uint64_t kSetIdModes[] = {S_ISUID, S_ISGID};

using Rules = std::vector<SeccompRule>;

void refuse(Rules& rules, std::string_view call, std::vector<scmp_arg_cmp> conditions,
            int errno_value = EPERM) {
  rules.push_back({std::string(call), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(errno_value)),
                   std::move(conditions)});
}

void refuse_new_namespaces(Rules& rules) {
  for (const std::uint64_t flag : kNamespaces) refuse(rules, "clone", {has(0, flag)});
}

void refuse_terminal_requests(Rules& rules) {
  for (const std::uint64_t request : kTerminalRequests) {
    refuse(rules, "ioctl", {masked(1, kLow32, request)});
  }
}

void refuse_foreign_families(Rules& rules) {
  for (const std::uint64_t family : kForeignFamilies) {
    refuse(rules, "socket", {masked(0, kLow32, family)}, EAFNOSUPPORT);
  }
}

void refuse_processes(Rules& rules) { refuse(rules, "clone", {masked(0, CLONE_THREAD, 0)}); }

void refuse_set_id_bits(Rules& rules) {
  for (const std::uint64_t bit : kSetIdModes) {
    for (const ModeArgument& call : kSetsMode) refuse(rules, call.call, {has(call.mode, bit)});
    for (const OpenArguments& call : kOpens) {
      for (const std::uint64_t creates : kCreates) {
        refuse(rules, call.call, {has(call.flags, creates), has(call.mode, bit)});
      }
    }
  }
}

void answer(Rules& rules, std::span<const std::string_view> groups, std::uint32_t action) {
  for (const std::string_view group : groups) {
    std::istringstream words{std::string(group)};
    for (std::string call; words >> call;) rules.push_back({call, action});
  }
}

}  // namespace

SeccompProfile default_seccomp_profile() {
  SeccompProfile profile;
  refuse_new_namespaces(profile.refusals);
  refuse_terminal_requests(profile.refusals);
  refuse_foreign_families(profile.refusals);
  refuse_set_id_bits(profile.refusals);

  answer(profile.rules, kComputation, SCMP_ACT_ALLOW);
  answer(profile.rules, kHarmless, SCMP_ACT_ALLOW);
  answer(profile.rules, kRefused, SCMP_ACT_ERRNO(EPERM));
  return profile;
}

SeccompProfile strict_seccomp_profile() {
  SeccompProfile profile;
  refuse_new_namespaces(profile.refusals);
  refuse_processes(profile.refusals);
  refuse_terminal_requests(profile.refusals);
  refuse_set_id_bits(profile.refusals);

  answer(profile.rules, kComputation, SCMP_ACT_ALLOW);
  answer(profile.rules, kHarmless, SCMP_ACT_ERRNO(EPERM));
  answer(profile.rules, kRefused, SCMP_ACT_ERRNO(EPERM));
  return profile;
}

SeccompProfile set_id_seccomp_profile() {
  SeccompProfile profile;
  profile.default_action = SCMP_ACT_ALLOW;
  refuse_set_id_bits(profile.rules);
  // Their mode lies in memory, out of a filter's sight.
  for (const char* call : {"openat2", "io_uring_setup"})
    profile.rules.push_back({.call = call, .action = SCMP_ACT_ERRNO(ENOSYS)});
  return profile;
}

}  // namespace sbx::detail
