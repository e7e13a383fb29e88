// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libsandbox/src/sys/raw.hpp where the init is fuzzed: the system calls that it
// makes, answered by the kernel in fuzz/init.cpp.
#pragma once

#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace sbx::fake_kernel {

inline long address(const void* pointer) noexcept { return reinterpret_cast<long>(pointer); }

long call(long number, long a, long b, long c) noexcept;
long openat(int dir, const char* path, int flags) noexcept;
long close(int fd) noexcept;
long fcntl(int fd, int command, long argument) noexcept;
long ioctl(int fd, unsigned long request, long argument) noexcept;
long read(int fd, void* buffer, std::size_t size) noexcept;
long pread(int fd, void* buffer, std::size_t size, long offset) noexcept;
long fstat(int fd, struct stat* status) noexcept;
long getdents64(int fd, void* buffer, std::size_t size) noexcept;
void* mmap(std::size_t size, int protection, int flags, int fd) noexcept;
long munmap(void* memory, std::size_t size) noexcept;
long pipe2(int* ends, int flags) noexcept;
long clone3_fork(clone_args* args, std::size_t size) noexcept;
[[noreturn]] void exit_group(int status) noexcept;
inline long getpid() noexcept { return 1; }
long kill(int pid, int signal) noexcept;
long wait4(int pid, int* status, int options, rusage* usage) noexcept;
long prctl(int option, unsigned long a = 0) noexcept;
long sigprocmask(int how, const std::uint64_t* set, std::uint64_t* old) noexcept;
long getrusage(int who, rusage* usage) noexcept;
long ppoll(pollfd* fds, std::size_t count, const timespec* timeout) noexcept;
long epoll_create() noexcept;
long epoll_add(int epoll, int fd, epoll_event* event) noexcept;
long epoll_wait_one(int epoll, epoll_event* event, int milliseconds) noexcept;
long signalfd(const std::uint64_t* set, int flags) noexcept;
long processor_count() noexcept;
long listen(int fd, int backlog) noexcept;
long accept4(int fd, int flags) noexcept;
long getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept;
long sendmsg(int fd, const msghdr* message, int flags) noexcept;
long recvmsg(int fd, msghdr* message, int flags) noexcept;

}  // namespace sbx::fake_kernel

namespace sbx {
namespace raw = fake_kernel;
}
