// SPDX-License-Identifier: Apache-2.0
//
// Process 1 of a sandbox: a static program without a C library. It starts programs on request,
// reaps, passes signals on, and ends with its main program. It allocates nothing after its start:
// everything that it remembers is in the tables of Init.
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "launch/child/block.hpp"
#include "launch/child/cpu_clock.hpp"
#include "launch/child/message.hpp"
#include "launch/child/program.hpp"
#include "launch/child/protocol.hpp"
#include "launch/child/setup.hpp"
#include "sys/raw.hpp"

namespace sbx::child {
namespace {

constexpr int kMostPrograms = 240;
constexpr int kMostConnections = 15;
constexpr int kMostGlances = 500;  // of 10 ms, at a program that is being started
constexpr int kNone = -1;
constexpr int kForEver = -1;

/// One program that somebody asked for.
struct Job {
  int pid = 0;          // 0: the place is free
  int channel = kNone;  // where its requester listens; kNone: nobody does
  bool owned = true;    // ends when its requester does
};

/// One client that came through the listening socket, or the maker of the sandbox.
struct Connection {
  int fd = kNone;
};

/// What an event is about.
enum class Watched : std::uint32_t { kSignals, kListener, kConnection, kJob };

class Init {
 public:
  /// Serves until the end. `cpu_limit_us` is the processor time for all; 0: no limit.
  [[noreturn]] void run(std::uint64_t cpu_limit_us) noexcept;

 private:
  long prepare() noexcept;
  long open_descriptors() noexcept;
  long watch(int fd, Watched what, int index = 0) const noexcept;
  void wait_for_event() noexcept;
  void check_cpu_time() noexcept;
  void reap() noexcept;
  void on_change(int pid, int status, const rusage& usage) noexcept;
  void accept_client() noexcept;
  void serve_connection(Connection& connection) noexcept;
  bool serve(Message& message, int connection) noexcept;
  void drop(Connection& connection) noexcept;
  void serve_job(Job& job) noexcept;
  void take_policy(Message& message) noexcept;
  bool spawn(Message& message, bool main, int reply_to) noexcept;
  Failure start(Job& job, const Message& message, std::size_t needed, bool main) noexcept;
  Failure introduce(Job& job, int pid, int master, bool main) noexcept;
  int open_terminal(bool main) const noexcept;
  static bool wait_until_executed(int pid, int end, bool main) noexcept;
  void signal(const Job& job, const Request& request) const noexcept;
  [[noreturn]] void finish(int status) noexcept;
  [[noreturn]] void abandon() noexcept;
  void kill_all() noexcept;

  Job jobs_[kMostPrograms];
  Connection connections_[kMostConnections + 1];  // the first is the maker's
  Job* main_ = nullptr;
  // Not poll(2): it refuses more descriptors than RLIMIT_NOFILE, which a program of the same user
  // may lower for this process, too.
  int epoll_ = kNone;
  int signals_ = kNone;
  int listener_ = kNone;
  int pts_ = kNone;
  int policy_fd_ = kNone;
  bool owned_ = true;  // ends when the maker of the sandbox does
  bool cpu_time_up_ = false;
  Failure* shared_failure_ = nullptr;  // in memory shared with a child until it executes
  std::uint64_t cpu_limit_us_ = 0;
  CpuClock cpu_clock_;
};

/// What fails here would be missing for as long as the sandbox lives.
long Init::prepare() noexcept {
  long result = raw::prctl(PR_SET_DUMPABLE, 0);
  // From now on the maker's end of the socket tells of its end.
  if (result >= 0) result = raw::prctl(PR_SET_PDEATHSIG, 0);
  raw::prctl(PR_SET_NAME, reinterpret_cast<unsigned long>("sbx-init"));
  const std::uint64_t all = ~std::uint64_t{0};
  if (result >= 0) result = raw::sigprocmask(SIG_SETMASK, &all, nullptr);
  if (result >= 0) result = open_descriptors();
  if (result >= 0 && cpu_limit_us_ != 0) result = cpu_clock_.open();
  if (result < 0) return result;
  shared_failure_ = static_cast<Failure*>(
      raw::mmap(4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, kNone));
  return shared_failure_ == nullptr ? -ENOMEM : 0;
}

long Init::open_descriptors() noexcept {
  // First, while an unused number is sure to be free.
  long result = raw::fcntl(kListenFd, F_SETFD, FD_CLOEXEC);
  if (result >= 0) listener_ = kListenFd;
  if (result >= 0 || result == -EBADF) result = raw::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  if (result >= 0) result = raw::epoll_create();
  if (result < 0) return result;
  epoll_ = static_cast<int>(result);
  const std::uint64_t children = std::uint64_t{1} << (SIGCHLD - 1);
  result = raw::signalfd(&children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (result < 0) return result;
  signals_ = static_cast<int>(result);
  connections_[0].fd = kControlFd;
  result = watch(signals_, Watched::kSignals);
  if (result >= 0) result = watch(kControlFd, Watched::kConnection);
  if (result >= 0 && listener_ >= 0) result = raw::listen(listener_, kMostConnections);
  if (result >= 0 && listener_ >= 0) result = watch(listener_, Watched::kListener);
  pts_ = static_cast<int>(raw::openat(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return result;
}

void Init::run(std::uint64_t cpu_limit_us) noexcept {
  cpu_limit_us_ = cpu_limit_us;
  const long result = prepare();
  if (result < 0) {
    const Failure failure = failed(Stage::kInitSetup, result);
    send_event(kControlFd, {.kind = EventKind::kFailed, .failure = failure});
    raw::exit_group(125);
  }
  for (;;) wait_for_event();
}

long Init::watch(int fd, Watched what, int index) const noexcept {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  event.data.u64 = (static_cast<std::uint64_t>(what) << 32U) | static_cast<unsigned>(index);
  return raw::epoll_add(epoll_, fd, &event);
}

/// Takes one event at a time: what it does may close what another was about.
void Init::wait_for_event() noexcept {
  const bool limited = cpu_limit_us_ != 0 && main_ != nullptr;
  const int timeout = limited ? cpu_clock_.milliseconds_until(cpu_limit_us_) : kForEver;
  epoll_event event{};
  const long count = raw::epoll_wait_one(epoll_, &event, timeout);
  if (limited) check_cpu_time();
  if (count <= 0) return;
  const auto index = static_cast<std::size_t>(event.data.u64 & 0xffffffffU);
  switch (static_cast<Watched>(event.data.u64 >> 32U)) {
    case Watched::kSignals:
      return reap();
    case Watched::kListener:
      return accept_client();
    case Watched::kConnection:
      return serve_connection(connections_[index]);
    case Watched::kJob:
      return serve_job(jobs_[index]);
  }
}

void Init::check_cpu_time() noexcept {
  if (cpu_clock_.used_us() < cpu_limit_us_) return;
  cpu_time_up_ = true;
  finish(SIGXCPU);
}

void Init::reap() noexcept {
  std::uint64_t discarded[16 * 16];  // of struct signalfd_siginfo, 128 bytes each
  raw::read(signals_, discarded, sizeof discarded);
  for (;;) {
    int status = 0;
    rusage usage{};
    const long pid = raw::wait4(-1, &status, WNOHANG | WUNTRACED | __WALL, &usage);
    if (pid == -EINTR) continue;
    if (pid <= 0) return;
    on_change(static_cast<int>(pid), status, usage);
  }
}

void fill_usage(Event& event, const rusage& usage) noexcept {
  const auto microseconds = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1000000U +
           static_cast<std::uint64_t>(time.tv_usec);
  };
  event.user_microseconds = microseconds(usage.ru_utime);
  event.system_microseconds = microseconds(usage.ru_stime);
  event.rss_max_kilobytes = static_cast<std::uint64_t>(usage.ru_maxrss);
  event.read_blocks = static_cast<std::uint64_t>(usage.ru_inblock);
  event.written_blocks = static_cast<std::uint64_t>(usage.ru_oublock);
}

void Init::on_change(int pid, int status, const rusage& usage) noexcept {
  for (Job& job : jobs_) {
    if (job.pid != pid) continue;
    if (WIFSTOPPED(status)) {
      send_event(job.channel,
                 {.kind = EventKind::kStopped, .pid = pid, .status = WSTOPSIG(status)});
      return;
    }
    if (&job == main_) finish(status);
    Event event{.kind = EventKind::kEnded, .pid = pid, .status = status};
    fill_usage(event, usage);
    send_event(job.channel, event);
    raw::close(job.channel);
    job = Job{};
    return;
  }
}

void Init::accept_client() noexcept {
  const int fd = static_cast<int>(raw::accept4(listener_, SOCK_CLOEXEC));
  if (fd < 0) return;
  // Somebody from inside has a pid here. Nobody inside can reach the socket's path; should a bind
  // ever show it, the sandbox still does not take orders from itself.
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool foreign =
      raw::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) >= 0 && peer.pid == 0;
  for (Connection& connection : connections_) {
    if (!foreign || connection.fd != kNone || &connection == &connections_[0]) continue;
    if (watch(fd, Watched::kConnection, static_cast<int>(&connection - connections_)) < 0) break;
    connection.fd = fd;
    return;
  }
  raw::close(fd);
}

void Init::serve_connection(Connection& connection) noexcept {
  Message message;
  const Message::Outcome outcome = message.receive(connection.fd);
  if (outcome == Message::Outcome::kNothing) return;
  // Whoever cannot be answered would wait for ever.
  if (outcome == Message::Outcome::kEnd || !serve(message, connection.fd)) drop(connection);
}

void Init::drop(Connection& connection) noexcept {
  raw::close(connection.fd);
  const bool maker = connection.fd == kControlFd;
  // Whoever asked for the main program; the next to come gets the same number.
  if (main_ != nullptr && main_->channel == connection.fd) main_->channel = kNone;
  connection.fd = kNone;
  if (maker && owned_) abandon();
}

/// False when an answer did not get out.
bool Init::serve(Message& message, int connection) noexcept {
  switch (message.request.kind) {
    case RequestKind::kPolicy:
      take_policy(message);
      return true;
    case RequestKind::kMain:
      return spawn(message, true, connection);
    case RequestKind::kSpawn:
      return spawn(message, false, connection);
    case RequestKind::kSignal:
      if (main_ != nullptr) signal(*main_, message.request);
      return true;
    case RequestKind::kRelease:
      owned_ = false;
      return true;
    case RequestKind::kHello:
      return send_event(connection,
                        {.kind = EventKind::kHello, .pid = main_ == nullptr ? 0 : main_->pid},
                        policy_fd_);
  }
  return true;
}

void Init::serve_job(Job& job) noexcept {
  Message message;
  const Message::Outcome outcome = message.receive(job.channel);
  if (outcome == Message::Outcome::kNothing) return;
  if (outcome == Message::Outcome::kEnd) {
    raw::close(job.channel);
    job.channel = kNone;
    if (job.owned) raw::kill(-job.pid, SIGKILL);
    return;
  }
  if (message.request.kind == RequestKind::kSignal) signal(job, message.request);
  if (message.request.kind == RequestKind::kRelease) job.owned = false;
}

void Init::take_policy(Message& message) noexcept {
  if (policy_fd_ != kNone || message.fd_count < 1 || message.fd_count > 2) return;
  if (message.fd_count == 2) cpu_clock_.count_by(message.take(1));
  policy_fd_ = message.take(0);
}

/// False when `reply_to` did not get its answer.
bool Init::spawn(Message& message, bool main, int reply_to) noexcept {
  const std::size_t needed = main ? 1 : 2;
  Job* free = nullptr;
  for (Job& job : jobs_) {
    if (job.pid == 0) free = &job;
  }
  Failure failure = failed(Stage::kRequest, -EINVAL);
  if (message.fd_count >= needed && policy_fd_ != kNone && !(main && main_ != nullptr)) {
    failure.error = EAGAIN;
    if (free != nullptr) {
      free->channel = main ? reply_to : message.take(1);
      failure = start(*free, message, needed, main);
    }
  }
  if (!failure) return true;
  const bool has_channel = free != nullptr && free->channel != kNone;
  const bool sent = send_event(has_channel ? free->channel : reply_to,
                               {.kind = EventKind::kFailed, .failure = failure});
  const bool closes = has_channel && !main;
  if (closes) raw::close(free->channel);
  if (free != nullptr) *free = Job{};
  return sent || closes;
}

int Init::open_terminal(bool main) const noexcept {
  const int master = static_cast<int>(raw::openat(pts_, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (master < 0) return kNone;
  int unlocked = 0;
  raw::ioctl(master, TIOCSPTLCK, raw::address(&unlocked));
  if (!main) return master;
  // The main program's terminal is this process's too: its job control then works as under a
  // shell, because a stopped program has somebody in its session to continue it.
  const long slave = raw::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  raw::ioctl(static_cast<int>(slave), TIOCSCTTY, 0);
  raw::close(static_cast<int>(slave));
  return master;
}

/// False, and the child killed, when it took too long. From its change of identity on, a program
/// of the same user can stop it: it is continued for as long as this waits. Before the main
/// program there is nobody to do so.
bool Init::wait_until_executed(int pid, int end, bool main) noexcept {
  pollfd executed{.fd = end, .events = POLLIN, .revents = 0};
  for (int glance = 0; main || glance < kMostGlances; ++glance) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    const long ready = raw::ppoll(&executed, 1, &pause);
    if (ready > 0) return true;
    if (ready == -EINVAL) break;  // its descriptors were taken away by prlimit(2)
    raw::kill(pid, SIGCONT);
  }
  raw::kill(pid, SIGKILL);
  return false;
}

/// `needed`: how many descriptors come before those of its control group.
Failure Init::start(Job& job, const Message& message, std::size_t needed, bool main) noexcept {
  const Block policy(policy_fd_);
  const Block block(message.fds[0]);
  Program* program = block.program();
  const std::size_t entrance_count = message.request.value;
  const std::size_t first_passed = needed + entrance_count;
  if (policy.program() == nullptr || program == nullptr || first_passed > message.fd_count ||
      program->inner_fds.count != message.fd_count - first_passed) {
    return failed(Stage::kRequest, -EINVAL);
  }
  const bool terminal = (program->flags & Program::kTerminal) != 0;
  const int master = terminal ? open_terminal(main) : kNone;
  *shared_failure_ = Failure{};
  // The child's end of the pipe closes when it has executed its program, or has failed.
  int ends[2] = {kNone, kNone};
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  long pid = raw::pipe2(ends, O_CLOEXEC);
  if (pid >= 0) pid = raw::clone3_fork(&arguments, sizeof arguments);
  if (pid == 0) {
    relocate(program);
    *shared_failure_ =
        become_program(policy.program(), program, message.fds + first_passed,
                       // Its own bounding set is as small as its permitted one: see become_init().
                       {.terminal_master = master,
                        .share_session = main && terminal,
                        .dumpable = 0,
                        .entrances = message.fds + needed,
                        .entrance_count = entrance_count,
                        .bounding = permitted_capabilities()});
    raw::exit_group(125);
  }
  raw::close(ends[1]);
  const bool in_time = pid < 0 || wait_until_executed(static_cast<int>(pid), ends[0], main);
  raw::close(ends[0]);
  if (pid < 0) {
    *shared_failure_ = failed(Stage::kRequest, pid);
  }
  Failure failure = in_time ? *shared_failure_ : failed(Stage::kRequest, -ETIMEDOUT);
  if (!failure) failure = introduce(job, static_cast<int>(pid), master, main);
  if (master >= 0) raw::close(master);
  return failure;
}

/// Makes a program that runs one of this process's, and tells who asked for it. One that nobody
/// would hear of is killed.
Failure Init::introduce(Job& job, int pid, int master, bool main) noexcept {
  const int index = static_cast<int>(&job - jobs_);
  const long watched = main ? 0 : watch(job.channel, Watched::kJob, index);
  if (watched >= 0 && send_event(job.channel, {.kind = EventKind::kStarted, .pid = pid}, master)) {
    job.pid = pid;
    if (main) main_ = &job;
    return {};
  }
  raw::kill(pid, SIGKILL);
  return {.stage = Stage::kRequest,
          .error = watched < 0 ? static_cast<std::int32_t>(-watched) : ENOBUFS};
}

void Init::signal(const Job& job, const Request& request) const noexcept {
  if (request.value < 1 || request.value > 64 || job.pid <= 0) return;
  const bool group = (request.flags & Request::kGroup) != 0;
  raw::kill(group ? -job.pid : job.pid, static_cast<int>(request.value));
}

void Init::kill_all() noexcept {
  // All that is left would be a child of this process, and kill(-1) looks at every process of the
  // host.
  if (raw::wait4(-1, nullptr, WNOHANG | __WALL, nullptr) == -ECHILD) return;
  // Process 1 is not among those that kill(-1) reaches.
  raw::kill(-1, SIGKILL);
  for (long pid = 0; pid >= 0 || pid == -EINTR;) pid = raw::wait4(-1, nullptr, __WALL, nullptr);
}

/// The main program has ended: nothing of the sandbox outlives it.
void Init::finish(int status) noexcept {
  const int main_pid = main_->pid;
  kill_all();
  rusage usage{};
  raw::getrusage(RUSAGE_CHILDREN, &usage);
  Event event{.kind = EventKind::kEnded,
              .pid = main_pid,
              .status = status,
              .cpu_time_up = cpu_time_up_ ? 1U : 0U};
  fill_usage(event, usage);
  send_event(main_->channel, event);
  raw::exit_group(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void Init::abandon() noexcept {
  kill_all();
  raw::exit_group(128 + SIGKILL);
}

std::uint64_t number_in(const char* text) noexcept {
  std::uint64_t value = 0;
  for (; text != nullptr && *text >= '0' && *text <= '9'; ++text) {
    value = value * 10 + static_cast<std::uint64_t>(*text - '0');
  }
  return value;
}

}  // namespace

[[noreturn]] void image_main(const long* stack) noexcept;

/// `stack` is as the kernel leaves it: the number of arguments, then the arguments.
[[noreturn]] void image_main(const long* stack) noexcept {
  // Anywhere but at the head of a process namespace, kill_all() would be the end of others.
  if (raw::getpid() != 1) raw::exit_group(125);
  static constinit Init init;
  const auto* const* argv = reinterpret_cast<const char* const*>(stack + 1);
  init.run(stack[0] > 1 ? number_in(argv[1]) : 0);
}

}  // namespace sbx::child
