// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/error.hpp"
#include "sbx/process.hpp"
#include "sbx/report.hpp"
#include "sbx/spec.hpp"
#include "sbx/terminal.hpp"

namespace sbx {

/// A running sandbox. The handle owns it: its destructor kills what runs inside, waits for it, and
/// removes every kernel object that was made for it. If the owning process itself is killed, the
/// sandbox ends too (with Init::kNone: if the thread that started it ends).
///
/// Handles may be moved between threads; one handle is used by one thread at a time. start() may be
/// called from any number of threads at once, and changes nothing in the caller that lasts: not its
/// signal handlers and masks, working directory, umask, dumpable flag or descriptors.
class SBX_API Sandbox {
 public:
  /// Makes the sandbox that `spec` describes and starts its command. Returns once the command has
  /// been executed. Throws ExecError when only that failed, SystemError when a step of the set-up
  /// did, std::invalid_argument when `spec` contradicts itself; then nothing is left behind.
  static Sandbox start(const Spec& spec);

  /// Finds a sandbox that runs already, by its Spec::control_socket, and makes sure that it is the
  /// caller's. The handle does not own it: its destructor leaves the sandbox alone, and wait() sees
  /// that it ends, but not how.
  static Sandbox open(const std::filesystem::path& control_socket);

  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox();

  /// Runs one more program inside, under the same filter, limits and at most the same rights.
  /// Throws ExecError when it cannot be executed, SystemError otherwise. Needs Init::kYes.
  Process exec(const Command& command);

  /// The same, but the program becomes what the sandbox lives for: wait() reports its end, and the
  /// sandbox ends with it. For a sandbox that was started without a command, once.
  void exec_main(const Command& command);

  /// Becomes readable when the sandbox has ended: every process in it. For poll(2) and epoll(7).
  [[nodiscard]] int fd() const noexcept;

  /// The pid of its process 1 in the caller's view.
  [[nodiscard]] int pid() const noexcept;

  /// Waits for the end of the command and of everything that it left behind.
  Report wait();

  /// The same, but kills the sandbox when `limit` is over (below zero: never); the report's reason
  /// is then kTimeout.
  Report wait_or_kill(std::chrono::milliseconds limit);

  /// Waits at most until `timeout` is over (below zero: for ever); none when it still runs.
  std::optional<Report> wait_for(std::chrono::milliseconds timeout);

  /// Waits for the next change of the command, as Process::wait_change does.
  Process::Change wait_change(std::chrono::milliseconds timeout);

  /// Becomes readable when wait_change() has something to say; -1 with Init::kNone, and once the
  /// command has ended: fd() tells the rest.
  [[nodiscard]] int change_fd() const noexcept;

  /// Sends `signal` to the command, or to its process group. With Init::kNone always to process 1
  /// alone; before exec_main() to nobody.
  void signal(int signal, SignalTarget target = SignalTarget::kProcess);

  /// Kills every process inside, at once. wait() then reports it.
  void kill();

  /// Changes limits of the running sandbox, at once; others stay as they are. Throws SystemError,
  /// with the reason, when that cannot be done: for a limit of a kind that the sandbox was not
  /// started with, say, or memory that the kernel cannot take back.
  void limit(const Limits& limits);

  /// What the sandbox uses and has used. Throws SystemError for one that was started without
  /// limits: nothing counts for it.
  [[nodiscard]] CgroupStatistics statistics();

  /// What others on the host do that will keep packets of the sandbox's from passing, one line
  /// each: a firewall that drops what it does not know.
  [[nodiscard]] std::vector<std::string> network_warnings() const;

  /// The master side of the command's terminal, when it asked for one; once.
  std::optional<Terminal> take_terminal();

  /// Lets the sandbox run on when the handle, and the calling process, are gone. For the handle
  /// that start() gave; needs Init::kYes.
  void release();

 private:
  struct State;
  explicit Sandbox(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

/// Says, one line each, what Sandbox::start would do for `spec`, and does nothing. Throws as it
/// does for what can be seen beforehand.
[[nodiscard]] SBX_API std::string describe(const Spec& spec);

/// What run() returns: the report, and all that the command wrote.
struct Output {
  Report report{};
  std::string out{};  ///< standard output
  std::string err{};  ///< standard error
};

/// How run() reads, and for how long.
struct RunOptions {
  std::string input{};                                 ///< given on standard input
  std::optional<std::chrono::milliseconds> timeout{};  ///< wall time; empty: for ever
  std::size_t output_max_bytes = 64U << 20;            ///< of each; the rest is thrown away
};

/// Starts `spec`, collects what it writes, and waits for its end. spec.command.fds is replaced.
/// Throws as Sandbox::start does, and std::invalid_argument for a Spec without a command or with
/// one on a terminal.
SBX_API Output run(Spec spec, const RunOptions& options = {});

}  // namespace sbx
