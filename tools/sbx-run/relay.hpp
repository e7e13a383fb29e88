// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <optional>
#include <string>

#include "sbx/terminal.hpp"

namespace sbx_run {

/// Carries bytes one way, and waits for nothing: either there is something to read, or something
/// that was read is to be written.
class Flow {
 public:
  Flow(int from, int to) : from_(from), to_(to) {}

  /// What to poll for before move(); a descriptor of -1 when there is nothing to do.
  [[nodiscard]] pollfd wanted() const;

  void move();

  /// Nothing more comes, and all that came is written.
  [[nodiscard]] bool is_done() const { return !open_ && pending_.empty(); }
  [[nodiscard]] bool is_open() const { return open_; }

  /// Why something was lost, an errno; 0: nothing was.
  [[nodiscard]] int failure() const { return failure_; }

  /// What is written after the last that was read. Once.
  void append(const std::string& text) { pending_ += text; }

  /// The last byte that was read; a newline before the first.
  [[nodiscard]] char last() const { return last_; }

 private:
  int from_;
  int to_;
  std::string pending_;
  char last_ = '\n';
  bool open_ = true;
  int failure_ = 0;
};

/// Between the caller's standard input and output and the command's terminal.
class TerminalRelay {
 public:
  /// Puts the caller's terminal, if his input is one, into raw mode until the end of this object.
  explicit TerminalRelay(sbx::Terminal terminal);

  [[nodiscard]] pollfd wanted_output() const { return output_.wanted(); }
  [[nodiscard]] pollfd wanted_input() const { return input_.wanted(); }
  void move_output() { output_.move(); }
  void move_input();

  /// Writes what the command has left in its terminal. Does not wait for who reads it longer than
  /// until `interrupt` is readable, or at all when that is -1. Returns why output was lost, now or
  /// before, other than to a reader who went away: an errno; 0 when none was.
  int drain(int interrupt);

  /// Gives the command's terminal the size of the caller's.
  void resize() const;

  /// The caller's terminal as it was before, until go_on().
  void pause() const;
  void go_on() const;

 private:
  sbx::Terminal terminal_;
  std::optional<sbx::RawMode> raw_;
  Flow input_;
  Flow output_;
};

}  // namespace sbx_run
