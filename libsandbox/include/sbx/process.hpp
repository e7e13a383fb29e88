// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"
#include "sbx/report.hpp"
#include "sbx/terminal.hpp"

namespace sbx {

/// A process that was started in a sandbox that already runs, by Sandbox::exec. The handle's
/// destructor has it killed, with its process group, and does not wait; unless release() was
/// called.
class SBX_API Process {
 public:
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  /// Becomes readable when the process ends or stops; for poll(2) and epoll(7).
  [[nodiscard]] int fd() const noexcept;

  /// Its pid in the sandbox's own view.
  [[nodiscard]] int inner_pid() const noexcept;

  /// Waits for its end. Throws SystemError (ECONNRESET) when the sandbox ends without a word.
  Report wait();

  /// The same, at most until `timeout` is over (below zero: for ever); none when it still runs.
  std::optional<Report> wait_for(std::chrono::milliseconds timeout);

  /// Waits for the next change, as a shell sees a job: kEnded, or kStopped (SIGSTOP, SIGTSTP);
  /// kNone when `timeout` is over first. Below zero it waits for ever.
  enum class Change { kNone, kStopped, kEnded };
  Change wait_change(std::chrono::milliseconds timeout);

  /// Sends `signal` to the process, or to its whole process group.
  void signal(int signal, SignalTarget target = SignalTarget::kProcess);

  /// The master side of its terminal, when the command asked for one; once.
  std::optional<Terminal> take_terminal();

  /// Lets it run on by itself when the handle goes.
  void release();

 private:
  friend class Sandbox;
  struct State;
  explicit Process(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace sbx
