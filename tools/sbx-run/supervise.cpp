// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/supervise.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sbx/terminal.hpp"
#include "sys/error.hpp"

namespace sbx_run {
namespace {

using Clock = std::chrono::steady_clock;
using sbx::SignalTarget;
using sbx::UniqueFd;

constexpr int kHeld[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                         SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};
constexpr char kEndOfInput = 4;  // what Ctrl-D types

/// What the terminal sends, it sends to the whole foreground group; what a person or a script
/// sends, to sbx-run alone.
bool is_typed(const signalfd_siginfo& info) { return info.ssi_code == SI_KERNEL; }

/// Carries bytes between the caller's terminal and the command's.
class TerminalRelay {
 public:
  explicit TerminalRelay(sbx::Terminal terminal) : terminal_(std::move(terminal)) {
    if (::isatty(STDIN_FILENO) == 1) {
      raw_.emplace(STDIN_FILENO);
      resize();
    }
  }

  [[nodiscard]] int master() const { return output_open_ ? terminal_.fd() : -1; }
  [[nodiscard]] int input() const { return input_open_ ? STDIN_FILENO : -1; }

  void resize() const {
    if (raw_) terminal_.resize(sbx::terminal_size(STDIN_FILENO));
  }

  void pause() const {
    if (raw_) raw_->restore();
  }

  void go_on() const {
    if (!raw_) return;
    raw_->again();
    resize();
  }

  void relay_input() {
    std::array<char, 4096> bytes;
    const ssize_t size = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size <= 0) {
      input_open_ = false;
      write_all(terminal_.fd(), &kEndOfInput, 1);
      return;
    }
    write_all(terminal_.fd(), bytes.data(), static_cast<std::size_t>(size));
  }

  /// False when there is no more: the master side reports EIO once nobody has the other side open.
  bool relay_output() {
    std::array<char, 65536> bytes;
    const ssize_t size = ::read(terminal_.fd(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) return true;
    if (size <= 0) {
      output_open_ = false;
      return false;
    }
    write_all(STDOUT_FILENO, bytes.data(), static_cast<std::size_t>(size));
    return true;
  }

  /// What the command wrote just before its end.
  void drain() {
    pollfd master{.fd = terminal_.fd(), .events = POLLIN, .revents = 0};
    while (output_open_ && ::poll(&master, 1, 0) > 0 && relay_output()) {
    }
  }

 private:
  static void write_all(int fd, const char* bytes, std::size_t size) {
    while (size > 0) {
      const ssize_t count = ::write(fd, bytes, size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return;  // nobody reads any more
      bytes += count;
      size -= static_cast<std::size_t>(count);
    }
  }

  sbx::Terminal terminal_;
  std::optional<sbx::RawMode> raw_;
  bool input_open_ = true;
  bool output_open_ = true;
};

class Supervisor {
 public:
  Supervisor(Job& job, const HeldSignals& signals, const Supervision& supervision)
      : job_(job), signals_(signals), supervision_(supervision) {
    if (auto terminal = job.take_terminal()) relay_.emplace(std::move(*terminal));
    if (supervision.timeout) deadline_ = Clock::now() + *supervision.timeout;
  }

  sbx::Report run() {
    while (!ended_) step();
    if (relay_) relay_->drain();
    return job_.report();
  }

 private:
  void step() {
    std::array<pollfd, 5> fds{};
    const int watched[] = {signals_.fd(), job_.change_fd(), job_.end_fd(),
                           relay_ ? relay_->master() : -1, relay_ ? relay_->input() : -1};
    for (std::size_t i = 0; i < fds.size(); ++i) fds[i] = {watched[i], POLLIN, 0};
    if (::poll(fds.data(), fds.size(), time_left()) < 0 && errno != EINTR) {
      sbx::detail::throw_errno("cannot wait for the command");
    }
    if (deadline_ && Clock::now() >= *deadline_) {
      deadline_.reset();
      job_.time_out();
      ended_ = true;
      return;
    }
    if (fds[0].revents != 0) take_signals();
    if (fds[3].revents != 0) relay_->relay_output();
    if (fds[4].revents != 0) relay_->relay_input();
    if (fds[1].revents != 0 || fds[2].revents != 0) take_change();
  }

  [[nodiscard]] int time_left() const {
    if (!deadline_) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
  }

  void take_signals() {
    while (const auto info = signals_.next()) {
      const auto signal = static_cast<int>(info->ssi_signo);
      const auto target = is_typed(*info) ? SignalTarget::kProcessGroup : SignalTarget::kProcess;
      if (signal == SIGTSTP) {
        stop_command();
      } else if (signal == SIGWINCH && relay_) {
        relay_->resize();
      } else if (signal == SIGCONT) {
        go_on();
      } else {
        job_.signal(signal, target);
      }
    }
  }

  void stop_command() {
    // Its process group has nobody outside who could continue it, and so ignores a mere SIGTSTP.
    job_.signal(SIGSTOP, SignalTarget::kProcessGroup);
    if (!job_.tells_stops()) stop_self();
  }

  void stop_self() const {
    if (supervision_.background) return;
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
  std::optional<TerminalRelay> relay_;
  std::optional<Clock::time_point> deadline_;
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
