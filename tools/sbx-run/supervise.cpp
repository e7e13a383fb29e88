// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/supervise.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sbx-run/relay.hpp"
#include "sbx/error.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"

namespace sbx_run {
namespace {

using sbx::SignalTarget;
using sbx::detail::Deadline;
using std::chrono::milliseconds;

constexpr int kHeld[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                         SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};

constexpr int kOutputLost = 125;

/// What the terminal sends, it sends to the whole foreground group; what a person or a script
/// sends, to sbx-run alone.
bool is_typed(const signalfd_siginfo& info) { return info.ssi_code == SI_KERNEL; }

/// Continues this process, should it be stopped then: the time of a stopped command runs out, too.
class ContinueAt {
 public:
  explicit ContinueAt(const Deadline& deadline) {
    const milliseconds left = deadline.left();
    if (left == Deadline::kForEver) return;
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGCONT;
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) < 0) {
      sbx::detail::throw_errno("cannot make a timer");
    }
    made_ = true;
    const std::chrono::nanoseconds wait = std::max(left, milliseconds(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    const itimerspec when{
        .it_interval = {},
        .it_value = {.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()}};
    ::timer_settime(timer_, 0, &when, nullptr);
  }
  ContinueAt(const ContinueAt&) = delete;
  ContinueAt& operator=(const ContinueAt&) = delete;
  ContinueAt(ContinueAt&&) = delete;
  ContinueAt& operator=(ContinueAt&&) = delete;
  ~ContinueAt() {
    if (made_) ::timer_delete(timer_);
  }

 private:
  timer_t timer_{};
  bool made_ = false;
};

/// The command has ended as the report says; who reads its output must know all the same.
void complain_of_lost_output(int error, sbx::Report& report) {
  report.message = sbx::SystemError(error, "cannot pass the command's output on").what();
  if (report.status == 0) report.status = kOutputLost;
  fmt::print(stderr, "sbx-run: {}\n", report.message);
}

class Supervisor {
 public:
  Supervisor(Job& job, const HeldSignals& signals, const Supervision& supervision)
      : job_(job),
        signals_(signals),
        supervision_(supervision),
        deadline_(supervision.timeout.value_or(Deadline::kForEver)) {
    if (auto terminal = job.take_terminal()) relay_.emplace(std::move(*terminal));
  }

  sbx::Report run() {
    while (!ended_) step();
    // Before the rest of the output: what still runs would go on writing.
    sbx::Report report = job_.report();
    const bool late = report.reason == sbx::ExitReason::kTimeout;
    const int lost = relay_ ? relay_->drain(late ? -1 : signals_.fd()) : 0;
    if (lost != 0) complain_of_lost_output(lost, report);
    return report;
  }

 private:
  void step() {
    constexpr pollfd kNothing = {.fd = -1, .events = 0, .revents = 0};
    std::array<pollfd, 5> fds = {{{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                                  {.fd = job_.change_fd(), .events = POLLIN, .revents = 0},
                                  {.fd = job_.end_fd(), .events = POLLIN, .revents = 0},
                                  relay_ ? relay_->wanted_output() : kNothing,
                                  relay_ ? relay_->wanted_input() : kNothing}};
    // Short of memory for a moment, the kernel is asked again: a detached command outlives that.
    if (::poll(fds.data(), fds.size(), deadline_.for_poll()) < 0 && errno != EINTR &&
        errno != ENOMEM) {
      sbx::detail::throw_errno("cannot wait for the command");
    }
    if (deadline_.is_over()) {
      job_.time_out();
      ended_ = true;
      return;
    }
    if (fds[0].revents != 0) take_signals();
    if (fds[3].revents != 0) relay_->move_output();
    if (fds[4].revents != 0) relay_->move_input();
    if (fds[1].revents != 0 || fds[2].revents != 0) take_change();
  }

  void take_signals() {
    while (const auto info = signals_.next()) {
      const auto signal = static_cast<int>(info->ssi_signo);
      const auto target = is_typed(*info) ? SignalTarget::kProcessGroup : SignalTarget::kProcess;
      if (signal == SIGTSTP) {
        stop_command();
      } else if (signal == SIGWINCH && relay_ && is_typed(*info)) {
        relay_->resize();  // the command hears of it from its own terminal
      } else if (signal == SIGCONT) {
        go_on();
      } else {
        job_.signal(signal, target);
      }
    }
  }

  void stop_command() {
    // Its process group has nobody outside who could continue it, and so ignores a mere SIGTSTP.
    stop_asked_for_ = true;
    job_.signal(SIGSTOP, SignalTarget::kProcessGroup);
    if (!job_.tells_stops()) stop_self();
  }

  void stop_self() {
    if (supervision_.background) return;
    // Where there is no terminal, nobody would continue it: a program could stop its caller.
    const sbx::UniqueFd terminal(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC));
    if (!terminal && !std::exchange(stop_asked_for_, false)) return;
    const ContinueAt timer(deadline_);
    if (relay_) relay_->pause();
    ::kill(::getpid(), SIGSTOP);
    // Here it goes on after SIGCONT, which is in the queue of signals, too.
  }

  void go_on() {
    if (relay_) relay_->go_on();
    job_.signal(SIGCONT, SignalTarget::kProcessGroup);
  }

  void take_change() {
    switch (job_.change()) {
      case Job::Change::kNone:
        return;
      case Job::Change::kStopped:
        return stop_self();
      case Job::Change::kEnded:
        ended_ = true;
        return;
    }
  }

  Job& job_;
  const HeldSignals& signals_;
  const Supervision& supervision_;
  Deadline deadline_;
  std::optional<TerminalRelay> relay_;
  bool stop_asked_for_ = false;
  bool ended_ = false;
};

}  // namespace

HeldSignals::HeldSignals() {
  sigset_t held;
  sigemptyset(&held);
  sigemptyset(&ignored_);
  for (const int signal : kHeld) {
    sigaddset(&held, signal);
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) sigaddset(&ignored_, signal);
  }
  ::sigprocmask(SIG_BLOCK, &held, nullptr);
  fd_.reset(::signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) sbx::detail::throw_errno("cannot receive signals");
}

std::optional<signalfd_siginfo> HeldSignals::next() const {
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
    // nohup(1) lets a hangup be ignored, and a script what is typed while its "sbx-run &" runs. A
    // signal that somebody sends on purpose is passed on even so.
    const auto signal = static_cast<int>(info.ssi_signo);
    const bool meant = signal != SIGHUP && !is_typed(info);
    if (meant || sigismember(&ignored_, signal) == 0) return info;
  }
  return std::nullopt;
}

sbx::Report supervise(Job& job, const HeldSignals& signals, const Supervision& supervision) {
  return Supervisor(job, signals, supervision).run();
}

}  // namespace sbx_run
