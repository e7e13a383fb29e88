// SPDX-License-Identifier: Apache-2.0
#include "support/inject.hpp"

#include <elf.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "sbx/fd.hpp"

namespace sbx::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* attempt) {
  throw std::system_error(errno, std::system_category(), attempt);
}

constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                          PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
constexpr std::chrono::seconds kPatience{10};  // for what outlives the caller
const std::string kCaller = "caller";

long trace(int request, pid_t pid, unsigned long address = 0, unsigned long data = 0) {
  return ::ptrace(static_cast<__ptrace_request>(request), pid, address, data);
}

// --- the registers of a stopped process ----------------------------------------------------------

#if defined(__x86_64__)

void set_number(pid_t pid, long number) {
  trace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, orig_rax),
        static_cast<unsigned long>(number));
}

void set_result(pid_t pid, long result) {
  trace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, rax), static_cast<unsigned long>(result));
}

void set_first_argument(pid_t pid, unsigned long value) {
  trace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, rdi), value);
}

void restore_first_argument(pid_t pid, unsigned long value) { set_first_argument(pid, value); }

#elif defined(__aarch64__)

void set_number(pid_t pid, long number) {
  int word = static_cast<int>(number);
  iovec part{.iov_base = &word, .iov_len = sizeof word};
  trace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, reinterpret_cast<unsigned long>(&part));
}

void set_result(pid_t pid, long result) {
  user_regs_struct registers{};
  iovec part{.iov_base = &registers, .iov_len = sizeof registers};
  trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, reinterpret_cast<unsigned long>(&part));
  registers.regs[0] = static_cast<unsigned long long>(result);
  trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, reinterpret_cast<unsigned long>(&part));
}

void set_first_argument(pid_t pid, unsigned long value) {
  set_result(pid, static_cast<long>(value));
}

// The result has taken its place.
void restore_first_argument(pid_t /*pid*/, unsigned long /*value*/) {}

#endif

/// futex(2) that wakes others cannot fail, and its callers are not prepared for it.
bool only_wakes(const __ptrace_syscall_info& info) {
  constexpr std::uint64_t kCommand = 0x7f;
  return info.entry.nr == SYS_futex && (info.entry.args[1] & kCommand) == 1;
}

bool text_begins(pid_t pid, std::uint64_t address, std::string_view text) {
  std::array<char, 32> bytes{};
  const iovec here{.iov_base = bytes.data(), .iov_len = text.size() + 1};
  const iovec there{.iov_base = reinterpret_cast<void*>(address), .iov_len = text.size() + 1};
  const ssize_t size = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
  return size == static_cast<ssize_t>(text.size() + 1) && text == bytes.data();
}

/// Wakes the tracer out of waitpid(2) from time to time, so that it can look at the clock.
class Ticker {
 public:
  Ticker() {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // without SA_RESTART
    ::sigaction(SIGALRM, &action, &old_);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 200'000},
                          .it_value = {.tv_sec = 0, .tv_usec = 200'000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  Ticker(Ticker&&) = delete;
  Ticker& operator=(Ticker&&) = delete;
  ~Ticker() {
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old_, nullptr);
  }

 private:
  struct sigaction old_ {};
};

struct Tracee {
  std::string path{};
  int children = 0;
  bool counting = false;
  bool foreign = false;
  // Of the call that it is in, and that is struck: what it shall report, and its first argument.
  long pending_error = 0;
  std::optional<unsigned long> argument{};
  std::map<long, int> seen{};
};

class Tracer {
 public:
  Tracer(const Start& start, Counted counted, const Fault& fault)
      : counted_(counted), fault_(fault) {
    out_.reset(::memfd_create("out", MFD_CLOEXEC));
    err_.reset(::memfd_create("err", MFD_CLOEXEC));
    launch(start);
  }

  Traced run(std::chrono::milliseconds deadline) {
    const Ticker ticker;
    auto end = Clock::now() + deadline;
    while (!tracees_.empty() || !early_.empty()) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0 && errno != EINTR) break;
      if (pid > 0) take(pid, status);
      if (pid == caller_ && tracees_.count(caller_) == 0) end = Clock::now() + kPatience;
      if (Clock::now() < end) continue;
      if (gave_up_) break;
      give_up();
      end = Clock::now() + kPatience;
    }
    while (::waitpid(-1, nullptr, __WALL | WNOHANG) > 0) {
    }
    result_.ended.out = text_of(out_);
    result_.ended.err = text_of(err_);
    return std::move(result_);
  }

 private:
  void launch(const Start& start);
  void take(pid_t pid, int status);
  void on_stop(pid_t pid, Tracee& tracee, int status);
  void on_call(pid_t pid, Tracee& tracee);
  void on_begin_or_end(pid_t pid, Tracee& tracee, const __ptrace_syscall_info& info);
  void on_event(pid_t pid, Tracee& tracee, int event);
  void on_exec(pid_t pid, Tracee& tracee);
  void adopt(pid_t child, Tracee& parent);
  void adopt_orphans();
  void strike(pid_t pid, Tracee& tracee, const __ptrace_syscall_info& info);
  void resume(pid_t pid, const Tracee& tracee, int signal = 0) const;
  void give_up();

  [[nodiscard]] bool wants_calls(const Tracee& tracee) const {
    if (tracee.foreign) return false;
    if (fault_.deed == Deed::kNothing) return true;
    return !result_.reached && tracee.path == fault_.at.process;
  }

  static std::string text_of(const UniqueFd& file) {
    std::string text;
    std::array<char, 4096> bytes;
    ssize_t size = 0;
    while ((size = ::pread(file.get(), bytes.data(), bytes.size(),
                           static_cast<off_t>(text.size()))) > 0)
      text.append(bytes.data(), static_cast<std::size_t>(size));
    return text;
  }

  Counted counted_;
  Fault fault_;
  UniqueFd input_;  // stays open: an end of the input would be one more thing that happens
  UniqueFd out_;
  UniqueFd err_;
  pid_t caller_ = -1;
  std::map<pid_t, Tracee> tracees_;
  std::set<pid_t> early_;  // stopped before their parent's event was seen
  bool gave_up_ = false;
  Traced result_;
};

void Tracer::launch(const Start& start) {
  int gate[2];
  if (::pipe2(gate, O_CLOEXEC) < 0) fail("cannot make a pipe");
  const UniqueFd wait(gate[0]);
  input_.reset(gate[1]);
  caller_ = ::fork();
  if (caller_ < 0) fail("cannot fork");
  if (caller_ == 0) {
    input_.reset();
    char byte = 0;
    if (::read(wait.get(), &byte, 1) != 1) ::_exit(97);
    ::dup2(wait.get(), 0);
    ::dup2(out_.get(), 1);
    ::dup2(err_.get(), 2);
    std::vector<char*> argv;
    for (const std::string& word : start.argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> environment;
    for (const std::string& word : start.environment)
      environment.push_back(const_cast<char*>(word.c_str()));
    environment.push_back(nullptr);
    if (start.before_exec) start.before_exec();
    ::execvpe(argv[0], argv.data(), environment.data());
    ::_exit(98);
  }
  if (trace(PTRACE_SEIZE, caller_, 0, kOptions) < 0) fail("cannot trace a child");
  tracees_[caller_].path = kCaller;
  const char byte = 1;
  if (::write(input_.get(), &byte, 1) != 1) fail("cannot start a child");
}

void Tracer::take(pid_t pid, int status) {
  const auto found = tracees_.find(pid);
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    if (pid == caller_ && found != tracees_.end()) {
      result_.ended.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    if (found != tracees_.end()) tracees_.erase(found);
    early_.erase(pid);
    if (pid == caller_) adopt_orphans();
    return;
  }
  if (!WIFSTOPPED(status)) return;
  if (found == tracees_.end()) {
    early_.insert(pid);
    if (tracees_.count(caller_) == 0) adopt_orphans();
    return;
  }
  on_stop(pid, found->second, status);
}

void Tracer::on_stop(pid_t pid, Tracee& tracee, int status) {
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (event == PTRACE_EVENT_STOP) {
    const bool group_stop =
        signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
    if (group_stop) {
      trace(PTRACE_LISTEN, pid);
      return;
    }
    return resume(pid, tracee);
  }
  if (event != 0) return on_event(pid, tracee, event);
  if (signal == (SIGTRAP | 0x80)) return on_call(pid, tracee);
  resume(pid, tracee, signal);
}

void Tracer::on_call(pid_t pid, Tracee& tracee) {
  __ptrace_syscall_info info{};
  trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, reinterpret_cast<unsigned long>(&info));
  if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee.pending_error != 0) {
    set_result(pid, -tracee.pending_error);
    tracee.pending_error = 0;
  }
  if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracee.argument) {
    restore_first_argument(pid, *tracee.argument);
    tracee.argument.reset();
  }
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    const auto number = static_cast<long>(info.entry.nr);
    if (tracee.path == kCaller) on_begin_or_end(pid, tracee, info);
    if (tracee.counting && !only_wakes(info)) {
      const int occurrence = ++tracee.seen[number];
      if (fault_.deed == Deed::kNothing) {
        result_.calls.push_back({tracee.path, number, occurrence});
      } else if (tracee.path == fault_.at.process && number == fault_.at.number &&
                 occurrence == fault_.at.occurrence && !result_.reached) {
        strike(pid, tracee, info);
      }
    }
  }
  // The call that is struck has to be seen once more, at its end.
  if (tracee.pending_error != 0 || tracee.argument) {
    trace(PTRACE_SYSCALL, pid);
  } else {
    resume(pid, tracee);
  }
}

void Tracer::on_begin_or_end(pid_t pid, Tracee& tracee, const __ptrace_syscall_info& info) {
  const auto number = static_cast<long>(info.entry.nr);
  if (counted_ == Counted::kMarks) {
    if (number != SYS_prctl) return;
    if (info.entry.args[0] == kBeginMark) tracee.counting = true;
    if (info.entry.args[0] == kEndMark) tracee.counting = false;
    return;
  }
  if (tracee.counting || number != SYS_openat) return;
  tracee.counting = text_begins(pid, info.entry.args[1], "/dev/null");
}

void Tracer::strike(pid_t pid, Tracee& tracee, const __ptrace_syscall_info& info) {
  result_.reached = true;
  switch (fault_.deed) {
    case Deed::kNothing:
      return;
    case Deed::kKill:
      ::kill(pid, SIGKILL);
      return;
    case Deed::kKillCaller:
      ::kill(caller_, SIGKILL);
      return;
    case Deed::kFail:
      // brk(2) has no errors: it reports the old value.
      if (info.entry.nr == SYS_brk) {
        tracee.argument = info.entry.args[0];
        return set_first_argument(pid, 0);
      }
      set_number(pid, -1);
      break;
    case Deed::kFailLate:
      break;
  }
  tracee.pending_error = fault_.error;
}

void Tracer::on_event(pid_t pid, Tracee& tracee, int event) {
  unsigned long message = 0;
  if (event == PTRACE_EVENT_EXEC) {
    on_exec(pid, tracee);
  } else if (trace(PTRACE_GETEVENTMSG, pid, 0, reinterpret_cast<unsigned long>(&message)) == 0) {
    adopt(static_cast<pid_t>(message), tracee);
  }
  resume(pid, tracee);
}

void Tracer::adopt(pid_t child, Tracee& parent) {
  Tracee& tracee = tracees_[child];
  tracee.path = parent.path + "/" + std::to_string(++parent.children);
  tracee.foreign = parent.foreign;
  tracee.counting = true;
  if (early_.erase(child) > 0) resume(child, tracee);
}

/// Those that the caller was just starting when it was killed: nothing tells of them any more, and
/// while they stand still they hold his descriptors.
void Tracer::adopt_orphans() {
  for (const pid_t child : std::exchange(early_, {})) {
    tracees_[child].path = kCaller + "/orphan";
    resume(child, tracees_[child]);
  }
}

void Tracer::on_exec(pid_t pid, Tracee& tracee) {
  if (tracee.path == kCaller) return;
  std::array<char, 128> target{};
  const std::string link = "/proc/" + std::to_string(pid) + "/exe";
  [[maybe_unused]] const ssize_t size = ::readlink(link.c_str(), target.data(), target.size() - 1);
  const std::string_view program(target.data());
  const bool init = program.find("memfd:sbx-init") != std::string::npos;
  const bool keeper = program.find("memfd:sbx-keeper") != std::string::npos;
  tracee.foreign = tracee.foreign || !(init || keeper);
  tracee.path += init ? "=init" : keeper ? "=keeper" : "=program";
  tracee.seen.clear();
}

void Tracer::resume(pid_t pid, const Tracee& tracee, int signal) const {
  trace(wants_calls(tracee) ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0,
        static_cast<unsigned long>(signal));
}

void Tracer::give_up() {
  gave_up_ = true;
  if (tracees_.count(caller_) > 0) result_.hung = true;
  for (const auto& [pid, tracee] : tracees_) {
    result_.left.push_back(tracee.path);
    ::kill(pid, SIGKILL);
  }
  for (const pid_t pid : early_) ::kill(pid, SIGKILL);
}

}  // namespace

Traced run_traced(const Start& start, Counted counted, const Fault& fault,
                  std::chrono::milliseconds deadline) {
  return Tracer(start, counted, fault).run(deadline);
}

std::string call_name(long number) {
  char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  if (name == nullptr) return std::to_string(number);
  std::string text(name);
  std::free(name);
  return text;
}

std::string to_string(const Call& call) {
  return call.process + ": " + call_name(call.number) + " (" + std::to_string(call.occurrence) +
         ")";
}

}  // namespace sbx::test
