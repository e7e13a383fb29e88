// SPDX-License-Identifier: Apache-2.0
//
// What a hostile program inside does by system calls that a shell cannot make. Each attack prints
// what it achieved, in words; nothing when all failed.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "launch/child/protocol.hpp"

namespace {

using sbx::child::Request;
using sbx::child::RequestKind;

void achieved(const std::string& what) { std::printf("%s\n", what.c_str()); }

/// A set-user-id file, made by shared memory that no filter sees.
void make_file_by_ring(const char* path) {
  io_uring_params parameters{};
  const int ring = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters));
  if (ring < 0) return;
  achieved("ring");
  const auto map = [&](std::size_t size, off_t offset) {
    return static_cast<char*>(
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset));
  };
  char* rings = map(parameters.sq_off.array + sizeof(unsigned), IORING_OFF_SQ_RING);
  auto* entry = reinterpret_cast<io_uring_sqe*>(map(sizeof(io_uring_sqe), IORING_OFF_SQES));
  entry->opcode = IORING_OP_OPENAT;
  entry->fd = AT_FDCWD;
  entry->addr = reinterpret_cast<std::uint64_t>(path);
  entry->len = 04755;
  entry->open_flags = O_CREAT | O_RDWR;
  *reinterpret_cast<unsigned*>(rings + parameters.sq_off.array) = 0;
  std::atomic_ref(*reinterpret_cast<unsigned*>(rings + parameters.sq_off.tail)).store(1);
  ::syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
}

/// A set-user-id file, by each call that takes a mode.
void make_file(const char* path) {
  ::close(::open(path, O_CREAT | O_RDWR, 04755));
  ::chmod(path, 04755);
  ::fchmodat(AT_FDCWD, path, 04755, 0);
  ::mknod(path, S_IFREG | 04755, 0);
}

/// Orders for process 1, by its socket.
void say_hello(const char* path) {
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string(path).copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return;
  achieved("connected");
  const Request request{.kind = RequestKind::kHello};
  ::send(socket, &request, sizeof request, MSG_NOSIGNAL);
  char answer[256];
  if (::recv(socket, answer, sizeof answer, 0) > 0) achieved("answered");
}

/// A key that the caller keeps in his session's keyring.
void find_key(const char* name) {
  if (::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0) >= 0)
    achieved("found");
}

/// The memory and the descriptors of another process, by each way there is.
void read_process(const char* number) {
  const int pid = std::atoi(number);
  char byte = 0;
  iovec local{.iov_base = &byte, .iov_len = 1};
  iovec remote{.iov_base = reinterpret_cast<void*>(0x400000), .iov_len = 1};
  if (::process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1) achieved("process_vm_readv");
  if (::process_vm_writev(pid, &local, 1, &remote, 1, 0) == 1) achieved("process_vm_writev");
  const std::string folder = "/proc/" + std::string(number);
  for (const char* file : {"/mem", "/maps", "/environ", "/auxv", "/stack", "/syscall", "/fd"}) {
    const int fd = ::open((folder + file).c_str(), O_RDONLY);
    if (fd >= 0 && (::read(fd, &byte, 1) == 1 || file[1] == 'f' || file[1] == 'm'))
      achieved(file + 1);
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  for (int fd = 0; fd < 16; ++fd) {
    if (::syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0) achieved("pidfd_getfd");
  }
  if (::syscall(SYS_kcmp, pid, ::getpid(), 0, 0, 0) >= 0) achieved("kcmp");
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0) achieved("ptrace");
}

/// Input for a shell that shares the terminal.
void type(const char* /*unused*/) {
  constexpr unsigned long kHighBit = 1UL << 32;
  char byte = '#';
  char paste[2] = {3, 0};
  if (::open("/dev/tty", O_RDWR) >= 0) achieved("controlling terminal");
  for (const unsigned long more : {0UL, kHighBit}) {
    if (::syscall(SYS_ioctl, 0, TIOCSTI | more, &byte) == 0) achieved("TIOCSTI");
    if (::syscall(SYS_ioctl, 0, TIOCLINUX | more, paste) == 0) achieved("TIOCLINUX");
    if (::syscall(SYS_ioctl, 0, TIOCSCTTY | more, 1) == 0) achieved("TIOCSCTTY");
    int discipline = 0;
    if (::syscall(SYS_ioctl, 0, TIOCSETD | more, &discipline) == 0) achieved("TIOCSETD");
  }
}

/// Sockets that reach past the network namespace, or much of the kernel.
void open_families(const char* /*unused*/) {
  for (const int family : {AF_VSOCK, AF_ALG, AF_PACKET, AF_KEY, AF_BLUETOOTH, AF_RDS, AF_TIPC}) {
    for (const int kind : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW}) {
      if (::socket(family, kind, 0) >= 0) achieved(std::to_string(family));
    }
  }
}

/// How a child ends that makes a call through another ABI than its own.
void call_through_other_abi(const char* /*unused*/) {
#ifdef __x86_64__
  const auto end_of = [](auto body) {
    const pid_t child = ::fork();
    if (child == 0) {
      body();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  };
  const int by_number = end_of([] { ::syscall(0x40000000 | SYS_getpid); });
  const int by_gate = end_of([] {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result)::"r8", "r9", "r10", "r11", "memory");
  });
  if (by_number != SIGSYS) achieved("x32");
  // SIGSEGV: the kernel has no such gate.
  if (by_gate != SIGSYS && by_gate != SIGSEGV) achieved("i386");
#endif
}

/// A new process by a call whose flags no filter sees.
void clone_unseen(const char* /*unused*/) {
  std::array<std::uint64_t, 11> arguments{};
  arguments[4] = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, arguments.data(), sizeof arguments);
  if (pid == 0) ::_exit(0);
  if (pid > 0) achieved("clone3");
}

/// Terminals, of which all sandboxes together have some thousands.
void take_terminals(const char* /*unused*/) {
  int taken = 0;
  while (taken < 900 && ::open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0) ++taken;
  if (taken > 256) achieved(std::to_string(taken));
}

/// Inotify instances, until there are no more, and keeps them. Says 'y' when it got any.
void hold_inotify(const char* /*unused*/) {
  int taken = 0;
  while (::inotify_init1(0) >= 0) ++taken;
  if (::write(STDOUT_FILENO, taken > 0 ? "y" : "n", 1) == 1) ::pause();
}

struct Attack {
  const char* name;
  void (*run)(const char* argument);
};

constexpr auto kAttacks = std::to_array<Attack>({
    {"make-file", make_file},
    {"make-file-by-ring", make_file_by_ring},
    {"say-hello", say_hello},
    {"find-key", find_key},
    {"read-process", read_process},
    {"type", type},
    {"open-families", open_families},
    {"call-through-other-abi", call_through_other_abi},
    {"clone-unseen", clone_unseen},
    {"take-terminals", take_terminals},
    {"hold-inotify", hold_inotify},
});

}  // namespace

int main(int argc, char** argv) {
  for (const Attack& attack : kAttacks) {
    if (argc < 2 || std::string(argv[1]) != attack.name) continue;
    attack.run(argc > 2 ? argv[2] : "");
    std::printf("done\n");
    return 0;
  }
  std::fprintf(stderr, "usage: probe ATTACK [ARGUMENT]\n");
  return 2;
}
