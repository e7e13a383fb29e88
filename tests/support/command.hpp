// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/terminal.hpp"

namespace sbx::test {

/// The caller's environment, "NAME=VALUE" each.
std::vector<std::string> own_environment();

/// How to start a program. One without a slash is looked for in PATH.
struct Start {
  std::vector<std::string> argv{};
  std::vector<std::string> environment = own_environment();
  std::filesystem::path directory{};    ///< empty: the caller's
  std::function<void()> before_exec{};  ///< runs in the new process
  bool terminal = false;                ///< on a new terminal, at the head of a session
};

/// How a program ended, and what it wrote.
struct Ended {
  int status = -1;    ///< 128 + N when signal N ended it; -1: not done when its time was up
  std::string out{};  ///< standard output, or all that appeared on its terminal
  std::string err{};
  std::chrono::microseconds cpu{0};  ///< processor time, that of its children included
};

/// A running program with its standard three in the test's hands. The destructor kills it; so does
/// the end of the test.
class Program {
 public:
  explicit Program(const Start& start);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  Program(Program&&) = delete;
  Program& operator=(Program&&) = delete;
  ~Program();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Puts `text` on its standard input, or types it on its terminal.
  void type(std::string_view text);
  void close_input();

  /// Waits until it has written `text` to its standard output after what says() found before.
  bool says(std::string_view text, std::chrono::milliseconds deadline = kDeadline);

  /// What it has written to its standard output, as far as it was read.
  [[nodiscard]] const std::string& out() const noexcept { return ended_.out; }

  void signal(int signal) const;

  /// The new terminal's master side.
  [[nodiscard]] const Terminal& terminal() const noexcept { return terminal_; }

  /// Closes the new terminal, as when its window is closed.
  void hang_up();

  /// Waits until it has ended and nobody else holds its output open. One that is not done when
  /// `deadline` is over is killed.
  Ended wait(std::chrono::milliseconds deadline = kDeadline);

  static constexpr std::chrono::seconds kDeadline{60};

 private:
  using Clock = std::chrono::steady_clock;

  void start_on_pipes(const Start& start);
  void start_on_terminal(const Start& start);
  /// Moves what can be moved now. False when nothing did before `end`, or all is closed.
  bool pump(Clock::time_point end);
  void feed();
  static void read_from(UniqueFd& fd, std::string& text);

  pid_t pid_ = -1;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd errors_;
  Terminal terminal_{UniqueFd()};
  std::string pending_;  // input that is not written yet, from fed_ on
  std::size_t fed_ = 0;
  bool input_ends_ = false;
  std::size_t heard_ = 0;  // how much of out says() has been through
  Ended ended_;
};

/// Runs a program to its end with `input` on its standard input.
Ended run(const Start& start, std::string_view input = {},
          std::chrono::milliseconds deadline = Program::kDeadline);

/// sbx-run with `arguments`, in a Start that can be changed further.
Start sbx_run_start(std::vector<std::string> arguments);

/// Runs sbx-run to its end.
Ended sbx_run(std::vector<std::string> arguments, std::string_view input = {});

/// Runs `script` by the shell of a sandbox made with `flags`.
Ended sbx_run_shell(std::vector<std::string> flags, std::string script);

}  // namespace sbx::test
