// SPDX-License-Identifier: Apache-2.0
//
// System calls without the C library: each returns what the kernel returned, -errno on failure.
// They touch neither errno nor thread-local storage and take no lock, so they may run in a child
// that shares its parent's memory, and in the init, which has no C library at all.
#pragma once

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

namespace sbx::raw {

// Numbers that are the same on every architecture and newer than some headers.
inline constexpr long kMountSetattr = 442;

#if defined(__x86_64__)

inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                 long f = 0) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

/// clone3(2) for a child that runs `body(argument)` on a stack of its own and never returns.
inline long clone3(clone_args* args, std::size_t size, void (*body)(void*),
                   void* argument) noexcept {
  long result;
  // Registers that the kernel leaves alone and that the child's first instruction does not touch.
  register void (*child_body)(void*) asm("r12") = body;
  register void* child_argument asm("r13") = argument;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "ud2\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(__NR_clone3), "D"(args), "S"(size), "r"(child_body), "r"(child_argument)
      : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                 long f = 0) noexcept {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}

/// clone3(2) for a child that runs `body(argument)` on a stack of its own and never returns.
inline long clone3(clone_args* args, std::size_t size, void (*body)(void*),
                   void* argument) noexcept {
  register long x8 asm("x8") = __NR_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(args);
  register long x1 asm("x1") = static_cast<long>(size);
  register void (*child_body)(void*) asm("x19") = body;
  register void* child_argument asm("x20") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x30, xzr\n\t"
      "mov x0, x20\n\t"
      "blr x19\n\t"
      "brk #1\n\t"
      "1:\n\t"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(child_body), "r"(child_argument)
      : "memory");
  return x0;
}

#else
#error "libsandbox supports x86-64 and arm64"
#endif

inline long address(const void* pointer) noexcept { return reinterpret_cast<long>(pointer); }

// --- files -------------------------------------------------------------------------------------

inline long openat(int dir, const char* path, int flags, unsigned mode = 0) noexcept {
  return call(__NR_openat, dir, address(path), flags, mode);
}
inline long openat2(int dir, const char* path, std::uint64_t flags, std::uint64_t resolve,
                    std::uint64_t mode = 0) noexcept {
  open_how how{.flags = flags, .mode = mode, .resolve = resolve};
  return call(__NR_openat2, dir, address(path), address(&how), sizeof how);
}
inline long close(int fd) noexcept { return call(__NR_close, fd); }
inline long close_range(unsigned first, unsigned last, unsigned flags) noexcept {
  return call(__NR_close_range, first, last, flags);
}
inline long dup3(int from, int to, int flags) noexcept { return call(__NR_dup3, from, to, flags); }
inline long fcntl(int fd, int command, long argument = 0) noexcept {
  return call(__NR_fcntl, fd, command, argument);
}
inline long ioctl(int fd, unsigned long request, long argument = 0) noexcept {
  return call(__NR_ioctl, fd, static_cast<long>(request), argument);
}
inline long read(int fd, void* buffer, std::size_t size) noexcept {
  return call(__NR_read, fd, address(buffer), static_cast<long>(size));
}
inline long pread(int fd, void* buffer, std::size_t size, long offset) noexcept {
  return call(__NR_pread64, fd, address(buffer), static_cast<long>(size), offset);
}
inline long write(int fd, const void* data, std::size_t size) noexcept {
  return call(__NR_write, fd, address(data), static_cast<long>(size));
}
inline long mkdirat(int dir, const char* path, unsigned mode) noexcept {
  return call(__NR_mkdirat, dir, address(path), mode);
}
inline long mknodat(int dir, const char* path, unsigned mode, unsigned device) noexcept {
  return call(__NR_mknodat, dir, address(path), mode, device);
}
inline long symlinkat(const char* target, int dir, const char* path) noexcept {
  return call(__NR_symlinkat, address(target), dir, address(path));
}
inline long fchownat(int dir, const char* path, unsigned uid, unsigned gid, int flags) noexcept {
  return call(__NR_fchownat, dir, address(path), uid, gid, flags);
}
inline long fstatfs(int fd, struct statfs* status) noexcept {
  return call(__NR_fstatfs, fd, address(status));
}
inline long fstat(int fd, struct stat* status) noexcept {
  return call(__NR_fstat, fd, address(status));
}
inline long fstatat(int dir, const char* path, struct stat* status, int flags) noexcept {
  return call(__NR_newfstatat, dir, address(path), address(status), flags);
}
inline long getdents64(int fd, void* buffer, std::size_t size) noexcept {
  return call(__NR_getdents64, fd, address(buffer), static_cast<long>(size));
}
inline long chdir(const char* path) noexcept { return call(__NR_chdir, address(path)); }
inline long fchdir(int fd) noexcept { return call(__NR_fchdir, fd); }
inline void* mmap(std::size_t size, int protection, int flags, int fd) noexcept {
  const long result = call(__NR_mmap, 0, static_cast<long>(size), protection, flags, fd, 0);
  return result < 0 && result > -4096 ? nullptr : reinterpret_cast<void*>(result);
}
inline long munmap(void* memory, std::size_t size) noexcept {
  return memory == nullptr ? 0 : call(__NR_munmap, address(memory), static_cast<long>(size));
}
inline long getcwd(char* buffer, std::size_t size) noexcept {
  return call(__NR_getcwd, address(buffer), static_cast<long>(size));
}
inline long umask(unsigned mask) noexcept { return call(__NR_umask, mask); }
inline long pipe2(int* ends, int flags) noexcept { return call(__NR_pipe2, address(ends), flags); }
inline long memfd_create(const char* name, unsigned flags) noexcept {
  return call(__NR_memfd_create, address(name), flags);
}

// --- mounts ------------------------------------------------------------------------------------

inline long open_tree(int dir, const char* path, unsigned flags) noexcept {
  return call(__NR_open_tree, dir, address(path), flags);
}
inline long move_mount(int from_dir, const char* from, int to_dir, const char* to,
                       unsigned flags) noexcept {
  return call(__NR_move_mount, from_dir, address(from), to_dir, address(to), flags);
}
inline long mount_setattr(int dir, const char* path, unsigned flags, mount_attr* attributes,
                          std::size_t size) noexcept {
  return call(kMountSetattr, dir, address(path), flags, address(attributes),
              static_cast<long>(size));
}
inline long fsopen(const char* type, unsigned flags) noexcept {
  return call(__NR_fsopen, address(type), flags);
}
inline long fsconfig(int fd, unsigned command, const char* key, const void* value,
                     int aux) noexcept {
  return call(__NR_fsconfig, fd, command, address(key), address(value), aux);
}
inline long fsmount(int fd, unsigned flags, unsigned attributes) noexcept {
  return call(__NR_fsmount, fd, flags, attributes);
}
inline long umount2(const char* path, int flags) noexcept {
  return call(__NR_umount2, address(path), flags);
}
inline long pivot_root(const char* new_root, const char* put_old) noexcept {
  return call(__NR_pivot_root, address(new_root), address(put_old));
}

// --- processes ---------------------------------------------------------------------------------

/// clone3(2) in the manner of fork(2): both return from it.
inline long clone3_fork(clone_args* args, std::size_t size) noexcept {
  return call(__NR_clone3, address(args), static_cast<long>(size));
}
inline long execveat(int dir, const char* path, char* const* argv, char* const* envp,
                     int flags) noexcept {
  return call(__NR_execveat, dir, address(path), address(argv), address(envp), flags);
}
[[noreturn]] inline void exit_group(int status) noexcept {
  for (;;) call(__NR_exit_group, status);
}
inline long getpid() noexcept { return call(__NR_getpid); }
inline long setsid() noexcept { return call(__NR_setsid); }
inline long setpgid(int pid, int group) noexcept { return call(__NR_setpgid, pid, group); }
inline long unshare(unsigned long flags) noexcept {
  return call(__NR_unshare, static_cast<long>(flags));
}
inline long pidfd_open(int pid, unsigned flags) noexcept {
  return call(__NR_pidfd_open, pid, flags);
}
inline long pidfd_send_signal(int pidfd, int signal) noexcept {
  return call(__NR_pidfd_send_signal, pidfd, signal, 0, 0);
}
inline long kill(int pid, int signal) noexcept { return call(__NR_kill, pid, signal); }
/// Kills a process that the caller has to wait for, so that its pid is not another's. By the pid,
/// where a filter or an emulation does not know the newer call: the wait would never end.
inline long kill_process(int pidfd, int pid) noexcept {
  const long result = pidfd_send_signal(pidfd, 9);
  const bool ended = result == -ESRCH || result == -EBADF;
  return result < 0 && !ended && pid > 0 ? kill(pid, 9) : result;
}
inline long waitid(int type, int id, void* info, int options, rusage* usage) noexcept {
  return call(__NR_waitid, type, id, address(info), options, address(usage));
}
/// Waits for the end of a child, of any kind: one that has not executed yet ends without a signal,
/// and waits for who asks for it.
inline void reap(int pidfd) noexcept {
  while (waitid(P_PIDFD, pidfd, nullptr, WEXITED | __WALL, nullptr) == -EINTR) {
  }
}
inline long wait4(int pid, int* status, int options, rusage* usage) noexcept {
  return call(__NR_wait4, pid, address(status), options, address(usage));
}
inline long prctl(int option, unsigned long a = 0, unsigned long b = 0, unsigned long c = 0,
                  unsigned long d = 0) noexcept {
  return call(__NR_prctl, option, static_cast<long>(a), static_cast<long>(b), static_cast<long>(c),
              static_cast<long>(d));
}
inline long sigaction(int signal, const void* action, void* old) noexcept {
  return call(__NR_rt_sigaction, signal, address(action), address(old), 8);
}
inline long sigprocmask(int how, const std::uint64_t* set, std::uint64_t* old) noexcept {
  return call(__NR_rt_sigprocmask, how, address(set), address(old), 8);
}
inline long prlimit(int resource, const rlimit64* limit) noexcept {
  return call(__NR_prlimit64, 0, resource, address(limit), 0);
}
inline long seccomp(unsigned operation, unsigned flags, const sock_fprog* program) noexcept {
  return call(__NR_seccomp, operation, flags, address(program));
}
inline long personality(unsigned long persona) noexcept {
  return call(__NR_personality, static_cast<long>(persona));
}
inline long getrusage(int who, rusage* usage) noexcept {
  return call(__NR_getrusage, who, address(usage));
}
inline long ppoll(pollfd* fds, std::size_t count, const timespec* timeout) noexcept {
  return call(__NR_ppoll, address(fds), static_cast<long>(count), address(timeout), 0, 8);
}
inline long epoll_create() noexcept { return call(__NR_epoll_create1, EPOLL_CLOEXEC); }
inline long epoll_add(int epoll, int fd, epoll_event* event) noexcept {
  return call(__NR_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, address(event));
}
/// Waits for one event, at most `milliseconds` (below zero: for ever).
inline long epoll_wait_one(int epoll, epoll_event* event, int milliseconds) noexcept {
  return call(__NR_epoll_pwait, epoll, address(event), 1, milliseconds, 0, 8);
}
inline long signalfd(const std::uint64_t* set, int flags) noexcept {
  return call(__NR_signalfd4, -1, address(set), 8, flags);
}
inline long futex(const std::uint32_t* word, int operation, std::uint32_t value,
                  const timespec* timeout = nullptr) noexcept {
  return call(__NR_futex, address(word), operation, value, address(timeout));
}
/// The number of processors that the caller may run on.
inline long processor_count() noexcept {
  std::uint64_t mask[128]{};
  const long size = call(__NR_sched_getaffinity, 0, sizeof mask, address(mask));
  long count = 0;
  for (long i = 0; i < size / 8; ++i) {
    for (std::uint64_t bits = mask[i]; bits != 0; bits &= bits - 1) ++count;
  }
  return count;
}
inline long keyctl(int operation, long a = 0) noexcept { return call(__NR_keyctl, operation, a); }

// --- identity ----------------------------------------------------------------------------------

inline long setresuid(unsigned uid) noexcept { return call(__NR_setresuid, uid, uid, uid); }
/// Of the calling thread; the real and the saved one stay.
inline long set_effective_user(unsigned uid) noexcept { return call(__NR_setresuid, -1, uid, -1); }
inline long setresgid(unsigned gid) noexcept { return call(__NR_setresgid, gid, gid, gid); }
inline long setgroups(std::size_t count, const unsigned* groups) noexcept {
  return call(__NR_setgroups, static_cast<long>(count), address(groups));
}
inline long capset(void* header, const void* data) noexcept {
  return call(__NR_capset, address(header), address(data));
}
inline long capget(void* header, void* data) noexcept {
  return call(__NR_capget, address(header), address(data));
}
inline long sethostname(const char* name, std::size_t size) noexcept {
  return call(__NR_sethostname, address(name), static_cast<long>(size));
}

// --- sockets -----------------------------------------------------------------------------------

inline long socket(int family, int type, int protocol) noexcept {
  return call(__NR_socket, family, type, protocol);
}
inline long listen(int fd, int backlog) noexcept { return call(__NR_listen, fd, backlog); }
inline long accept4(int fd, int flags) noexcept { return call(__NR_accept4, fd, 0, 0, flags); }
inline long getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  return call(__NR_getsockopt, fd, level, name, address(value), address(size));
}
inline long sendmsg(int fd, const msghdr* message, int flags) noexcept {
  return call(__NR_sendmsg, fd, address(message), flags);
}
inline long recvmsg(int fd, msghdr* message, int flags) noexcept {
  return call(__NR_recvmsg, fd, address(message), flags);
}

}  // namespace sbx::raw
