// SPDX-License-Identifier: Apache-2.0
//
// The init of a sandbox, whole, on a kernel that does what the input says: who connects, what is
// requested with which descriptors, which programs start, stop and end. The kernel watches that the
// init closes what it opens, once; signals nobody but its own children; and answers each request.
#include <errno.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fuzz/check.hpp"
// Not by its header: the init is one object of which there is only one, but each input needs its
// own.
#include "launch/child/init.cpp"
#include "launch/program_block.hpp"

namespace {

using sbx::child::Event;
using sbx::child::EventKind;
using sbx::child::Request;
using sbx::child::RequestKind;
using sbx::fuzz::require;

/// What a descriptor of the init is.
enum class Kind {
  kStandard,
  kControl,
  kListener,
  kEpoll,
  kSignals,
  kDirectory,
  kFile,
  kConnection,
  kReceived,
  kChannel,  // one that came, and on which a program's start was told
  kPipe,
  kTerminal,
};

struct OpenFile {
  Kind kind = Kind::kStandard;
  bool watched = false;
  std::uint64_t watch_data = 0;
  bool regular = false;
  std::string contents{};
};

/// A program that takes `inner_fds` descriptors, as the launcher makes it.
const std::string& program_block(std::size_t inner_fds, bool terminal) {
  static std::map<std::pair<std::size_t, bool>, std::string> made;
  std::string& block = made[{inner_fds, terminal}];
  if (!block.empty()) return block;
  sbx::detail::ProgramParts parts;
  parts.argv = {"true"};
  parts.candidates = {"/bin/true"};
  parts.inner_fds.resize(inner_fds, 0);
  if (terminal) parts.flags = sbx::child::Program::kTerminal;
  const sbx::UniqueFd file = sbx::detail::ProgramBlock(parts).to_file();
  block.resize(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)));
  require(::pread(file.get(), block.data(), block.size(), 0) > 0, "a block can be read");
  return block;
}

class Kernel {
 public:
  explicit Kernel(FuzzedDataProvider& script) : script_(script) {
    for (int fd = 0; fd < 3; ++fd) files_[fd] = {.kind = Kind::kStandard};
    files_[sbx::child::kControlFd] = {.kind = Kind::kControl};
    if (chance()) files_[sbx::child::kListenFd] = {.kind = Kind::kListener};
  }
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  Kernel(Kernel&&) = delete;
  Kernel& operator=(Kernel&&) = delete;
  ~Kernel() {
    for (const auto& [memory, size] : mappings_) std::free(memory);
  }

  // --- the script ---

  bool chance() { return script_.ConsumeBool(); }
  bool rarely() { return script_.ConsumeIntegral<std::uint8_t>() > 250; }
  std::size_t number(std::size_t most) {
    return script_.ConsumeIntegralInRange<std::size_t>(0, most);
  }

  [[noreturn]] void end() { ::longjmp(done, 1); }

  // --- descriptors ---

  int open(OpenFile file) {
    int fd = 0;
    while (files_.count(fd) != 0) ++fd;
    files_[fd] = std::move(file);
    return fd;
  }

  /// The file of a descriptor that the init uses; none for those below zero, which it may try.
  OpenFile* file(int fd) {
    if (fd < 0) return nullptr;
    const auto found = files_.find(fd);
    require(found != files_.end(), "a descriptor is used while it is open");
    return &found->second;
  }

  long close(int fd) {
    if (file(fd) == nullptr) return -EBADF;
    files_.erase(fd);
    return 0;
  }

  long count(Kind kind) const {
    return std::count_if(files_.begin(), files_.end(),
                         [kind](const auto& entry) { return entry.second.kind == kind; });
  }

  // --- memory ---

  void* map(std::size_t size, int fd) {
    if (rarely()) return nullptr;
    const OpenFile* mapped = file(fd);
    void* memory = std::calloc(1, size);
    if (mapped != nullptr) std::memcpy(memory, mapped->contents.data(), mapped->contents.size());
    if (mapped == nullptr) shared_ = static_cast<sbx::child::Failure*>(memory);
    mappings_[memory] = size;
    return memory;
  }

  long unmap(void* memory, std::size_t size) {
    if (memory == nullptr) return 0;
    const auto found = mappings_.find(memory);
    require(found != mappings_.end() && found->second == size, "memory is unmapped once");
    std::free(memory);
    mappings_.erase(found);
    return 0;
  }

  // --- events ---

  long wait(epoll_event* event) {
    check_quiet();
    if (script_.remaining_bytes() == 0) end();
    std::vector<std::uint64_t> watched;
    for (const auto& [fd, file] : files_) {
      if (file.watched) watched.push_back(file.watch_data);
    }
    const std::size_t choice = number(watched.size());
    if (choice == watched.size()) return chance() ? 0 : -EINTR;
    event->data.u64 = watched[choice];
    return 1;
  }

  /// What holds whenever the init has nothing to do.
  void check_quiet() {
    require(count(Kind::kPipe) == 0, "a start leaves no pipe");
    require(count(Kind::kTerminal) == 0, "a start leaves no terminal");
    require(count(Kind::kFile) == 0, "a look at /proc leaves no file");
    require(count(Kind::kReceived) <= 2,
            "of what came only the policy, its clock and channels are kept");
    require(count(Kind::kConnection) <= 15, "there are at most 15 clients");
    require(mappings_.size() <= 1, "a start leaves no mapping");
    require(answers_ == expected_answers_ || (unheard_ && answers_ < expected_answers_),
            "a request has one answer");
    answers_ = expected_answers_ = 0;
    unheard_ = false;
  }

  // --- messages ---

  long receive(int fd, msghdr* message) {
    const OpenFile* from = file(fd);
    require(from->kind == Kind::kControl || from->kind == Kind::kConnection ||
                from->kind == Kind::kChannel || from->kind == Kind::kReceived,
            "a message is read from a socket");
    const bool serves = from->kind == Kind::kControl || from->kind == Kind::kConnection;
    message->msg_flags = 0;
    if (rarely()) return -EAGAIN;
    if (rarely() || script_.remaining_bytes() == 0) {
      message->msg_controllen = 0;
      return 0;
    }
    Request request{.kind = static_cast<RequestKind>(number(7)),
                    .value = static_cast<std::uint32_t>(chance() ? 0 : number(66)),
                    .flags = script_.ConsumeIntegral<std::uint32_t>()};
    std::size_t size = sizeof request;
    if (rarely()) request.magic ^= 1U;
    if (rarely()) size = number(sizeof request);
    if (rarely()) message->msg_flags = MSG_TRUNC;
    std::memcpy(message->msg_iov[0].iov_base, &request, size);
    pass_descriptors(message);
    const bool good = size == sizeof request && request.magic == sbx::child::kProtocolMagic &&
                      message->msg_flags == 0;
    if (good && serves) expect_answer(request.kind);
    return static_cast<long>(size);
  }

  void expect_answer(RequestKind kind) {
    if (kind == RequestKind::kMain || kind == RequestKind::kSpawn || kind == RequestKind::kHello) {
      ++expected_answers_;
    }
  }

  void pass_descriptors(msghdr* message) {
    std::size_t fds = number(5);
    if (rarely()) fds = sbx::child::kMostDescriptors;
    if (fds == 0) {
      message->msg_controllen = 0;
      return;
    }
    require(message->msg_controllen >= CMSG_SPACE(fds * sizeof(int)), "descriptors have room");
    cmsghdr* rights = CMSG_FIRSTHDR(message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds * sizeof(int));
    auto* numbers = reinterpret_cast<int*>(CMSG_DATA(rights));
    for (std::size_t i = 0; i < fds; ++i) numbers[i] = open(received_file(fds));
    message->msg_controllen = CMSG_SPACE(fds * sizeof(int));
  }

  OpenFile received_file(std::size_t fds) {
    OpenFile file{.kind = Kind::kReceived, .regular = !rarely()};
    if (rarely()) {
      file.contents = script_.ConsumeRandomLengthString(400);
      return file;
    }
    const std::size_t companions = number(2);
    file.contents = program_block(fds - std::min(fds, companions), chance());
    return file;
  }

  long send(int fd, const msghdr* message) {
    OpenFile* to = file(fd);
    require(message->msg_iov[0].iov_len == sizeof(Event), "an event is whole");
    Event event;
    std::memcpy(&event, message->msg_iov[0].iov_base, sizeof event);
    require(event.magic == sbx::child::kProtocolMagic, "an event is one");
    if (message->msg_control != nullptr) {
      const cmsghdr* rights = CMSG_FIRSTHDR(message);
      require(*reinterpret_cast<const int*>(CMSG_DATA(rights)) >= 0 &&
                  file(*reinterpret_cast<const int*>(CMSG_DATA(rights))) != nullptr,
              "a descriptor is passed while it is open");
    }
    require((event.kind == EventKind::kFailed) == bool(event.failure), "a failure has its reason");
    if (rarely()) {
      unheard_ = true;
      return -EPIPE;
    }
    if (event.kind == EventKind::kStarted || event.kind == EventKind::kHello ||
        event.kind == EventKind::kFailed) {
      ++answers_;
    }
    if (event.kind == EventKind::kStarted && to->kind == Kind::kReceived) to->kind = Kind::kChannel;
    return static_cast<long>(sizeof event);
  }

  // --- processes ---

  long clone() {
    if (rarely()) return -EAGAIN;
    children_.insert(++last_pid_);
    if (rarely()) *shared_ = {.stage = sbx::child::Stage::kExec, .error = ENOENT};
    return last_pid_;
  }

  long kill(int pid, int signal) {
    require(pid != 0 && signal >= 1 && signal <= 64, "a signal has a number and a receiver");
    if (pid == -1) {
      require(signal == SIGKILL, "all are killed, or none is signalled");
      return 0;
    }
    require(children_.count(std::abs(pid)) != 0, "who is signalled is a child that is not reaped");
    return 0;
  }

  long wait_for_child(int* told, int options) {
    int ignored = 0;
    int& status = told == nullptr ? ignored : *told;
    if ((options & WNOHANG) == 0) {
      if (children_.empty()) return -ECHILD;
      if (rarely()) return -EINTR;
      const int pid = *children_.begin();
      children_.erase(pid);
      return pid;
    }
    if (script_.remaining_bytes() == 0 || chance()) return children_.empty() ? -ECHILD : 0;
    if (rarely()) {
      status = 0;
      return 30000;  // an orphan that process 1 inherits
    }
    if (children_.empty()) return -ECHILD;
    const int pid = *std::next(children_.begin(), static_cast<long>(number(children_.size() - 1)));
    constexpr int kStatuses[] = {0, 0x0100, SIGKILL, SIGSEGV | 0x80, 0xff00};
    if ((options & WUNTRACED) != 0 && chance()) {
      status = SIGTSTP << 8 | 0x7f;
    } else {
      status = kStatuses[number(std::size(kStatuses) - 1)];
      children_.erase(pid);
    }
    return pid;
  }

  [[noreturn]] void exit(int status) {
    require(children_.empty() || status == 125, "nobody outlives process 1");
    end();
  }

  jmp_buf done;
  int polls_left = 0;
  int entries_left = 0;

 private:
  FuzzedDataProvider& script_;
  std::map<int, OpenFile> files_;
  std::map<void*, std::size_t> mappings_;
  std::set<int> children_;
  sbx::child::Failure* shared_ = nullptr;
  int last_pid_ = 1;
  int answers_ = 0;
  int expected_answers_ = 0;
  bool unheard_ = false;  // an answer did not get out
};

Kernel* kernel = nullptr;

}  // namespace

namespace sbx::fake_kernel {

long call(long number, long fd, long /*offset*/, long /*whence*/) noexcept {
  require(number == __NR_lseek, "a call is known");
  if (kernel->file(static_cast<int>(fd)) == nullptr) return -EBADF;
  kernel->entries_left = 3;
  return 0;
}

long openat(int dir, const char* path, int /*flags*/) noexcept {
  if (kernel->rarely()) return -EMFILE;
  if (path[0] == '/') return kernel->open({.kind = Kind::kDirectory});
  if (kernel->file(dir) == nullptr) return -EBADF;
  const bool terminal = std::string_view(path) == "ptmx";
  return kernel->open({.kind = terminal ? Kind::kTerminal : Kind::kFile});
}

long close(int fd) noexcept { return kernel->close(fd); }

long fcntl(int fd, int command, long /*argument*/) noexcept {
  require(command == F_SETFD && (fd == child::kControlFd || fd == child::kListenFd),
          "the init's own two descriptors are marked");
  // Its probe for a socket that may be missing.
  return fd == child::kListenFd && kernel->count(Kind::kListener) == 0 ? -EBADF : 0;
}

long ioctl(int fd, unsigned long request, long /*argument*/) noexcept {
  if (kernel->file(fd) == nullptr) return -EBADF;
  if (request != TIOCGPTPEER) return 0;
  return kernel->rarely() ? -EIO : kernel->open({.kind = Kind::kTerminal});
}

long read(int fd, void* buffer, std::size_t size) noexcept {
  if (kernel->file(fd) == nullptr) return -EBADF;
  if (kernel->rarely()) return -EINTR;
  static constexpr std::string_view kStat = "7 (a) b) S 1 7 7 0 -1 4 1 2 3 4 50 60 70 80 20 0 1";
  return static_cast<long>(kStat.copy(static_cast<char*>(buffer), size));
}

long pread(int fd, void* buffer, std::size_t size, long offset) noexcept {
  require(offset == 0, "a file is read from its start");
  if (kernel->file(fd) == nullptr) return -EBADF;
  if (kernel->rarely()) return -EINTR;
  const std::string text =
      "usage_usec " + std::to_string(kernel->number(1000000)) + "\nuser_usec 5\n";
  return static_cast<long>(text.copy(static_cast<char*>(buffer), size));
}

long fstat(int fd, struct stat* status) noexcept {
  const OpenFile* file = kernel->file(fd);
  if (file == nullptr) return -EBADF;
  status->st_mode = file->regular ? S_IFREG : S_IFSOCK;
  status->st_size = static_cast<off_t>(file->contents.size());
  return 0;
}

long getdents64(int fd, void* buffer, std::size_t size) noexcept {
  if (kernel->file(fd) == nullptr) return -EBADF;
  if (kernel->entries_left-- <= 0) return 0;
  struct {
    std::uint64_t inode = 1;
    std::int64_t offset = 1;
    unsigned short length = 32;
    unsigned char type = 4;
    char name[13] = "1234567";
  } entry;
  if (kernel->chance()) std::memcpy(entry.name, "uptime", sizeof "uptime");
  require(size >= 2 * sizeof entry, "a folder's entries have room");
  std::memcpy(buffer, &entry, sizeof entry);
  std::memcpy(static_cast<char*>(buffer) + sizeof entry, &entry, sizeof entry);
  return 2 * sizeof entry;
}

void* mmap(std::size_t size, int /*protection*/, int /*flags*/, int fd) noexcept {
  return kernel->map(size, fd);
}

long munmap(void* memory, std::size_t size) noexcept { return kernel->unmap(memory, size); }

long pipe2(int* ends, int /*flags*/) noexcept {
  if (kernel->rarely()) return -EMFILE;
  ends[0] = kernel->open({.kind = Kind::kPipe});
  ends[1] = kernel->open({.kind = Kind::kPipe});
  return 0;
}

long clone3_fork(clone_args* /*args*/, std::size_t /*size*/) noexcept { return kernel->clone(); }

void exit_group(int status) noexcept { kernel->exit(status); }

long kill(int pid, int signal) noexcept { return kernel->kill(pid, signal); }

long wait4(int /*pid*/, int* status, int options, rusage* /*usage*/) noexcept {
  return kernel->wait_for_child(status, options);
}

long prctl(int /*option*/, unsigned long /*a*/) noexcept { return 0; }

long sigprocmask(int /*how*/, const std::uint64_t* /*set*/, std::uint64_t* /*old*/) noexcept {
  return 0;
}

long getrusage(int /*who*/, rusage* usage) noexcept {
  usage->ru_utime.tv_sec = static_cast<time_t>(kernel->number(20));
  return 0;
}

long ppoll(pollfd* fds, std::size_t /*count*/, const timespec* /*timeout*/) noexcept {
  if (kernel->file(fds->fd) == nullptr) return 0;
  if (kernel->rarely()) return -EINVAL;
  if (kernel->rarely()) kernel->polls_left = 600;  // more than the init's patience
  return kernel->polls_left-- > 0 ? 0 : 1;
}

long epoll_create() noexcept { return kernel->open({.kind = Kind::kEpoll}); }

long epoll_add(int epoll, int fd, epoll_event* event) noexcept {
  kernel->file(epoll);
  OpenFile* file = kernel->file(fd);
  if (file == nullptr) return -EBADF;
  require(!file->watched, "a descriptor is watched once");
  file->watched = true;
  file->watch_data = event->data.u64;
  return 0;
}

long epoll_wait_one(int epoll, epoll_event* event, int /*milliseconds*/) noexcept {
  kernel->file(epoll);
  return kernel->wait(event);
}

long signalfd(const std::uint64_t* /*set*/, int /*flags*/) noexcept {
  return kernel->open({.kind = Kind::kSignals});
}

long processor_count() noexcept { return 2; }

long listen(int fd, int /*backlog*/) noexcept { return kernel->file(fd) == nullptr ? -EBADF : 0; }

long accept4(int fd, int /*flags*/) noexcept {
  if (kernel->file(fd) == nullptr) return -EBADF;
  return kernel->rarely() ? -EMFILE : kernel->open({.kind = Kind::kConnection});
}

long getsockopt(int fd, int /*level*/, int /*name*/, void* value, socklen_t* /*size*/) noexcept {
  kernel->file(fd);
  static_cast<ucred*>(value)->pid = kernel->rarely() ? 12 : 0;
  return 0;
}

long sendmsg(int fd, const msghdr* message, int /*flags*/) noexcept {
  return kernel->send(fd, message);
}

long recvmsg(int fd, msghdr* message, int /*flags*/) noexcept {
  return kernel->receive(fd, message);
}

}  // namespace sbx::fake_kernel

namespace sbx::child {
namespace {

void run_init(std::uint64_t cpu_limit_us) {
  Init init;
  init.run(cpu_limit_us);
}

}  // namespace
}  // namespace sbx::child

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  const std::uint64_t cpu_limit_us = script.ConsumeBool() ? 0 : 10'000'000;
  Kernel machine(script);
  kernel = &machine;
  if (setjmp(machine.done) == 0) sbx::child::run_init(cpu_limit_us);
  kernel = nullptr;
  return 0;
}
