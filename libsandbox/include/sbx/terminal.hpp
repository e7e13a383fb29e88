// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <termios.h>

#include <cstdint>
#include <utility>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"

namespace sbx {

/// Rows and columns of a terminal, in characters. See ioctl_tty(2), TIOCGWINSZ.
struct TerminalSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;

  friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};

/// The master side of a pseudo-terminal: what the program on it writes is read here, and what is
/// written here it reads as if typed. See pty(7).
class SBX_API Terminal {
 public:
  /// A new pair on the caller's own devpts, /dev/ptmx.
  static Terminal create();

  /// Takes the master side of a pair that somebody else made, such as a sandbox.
  explicit Terminal(UniqueFd master) noexcept : master_(std::move(master)) {}

  /// The other side, opened without a path (TIOCGPTPEER), for the program that is to live on it.
  [[nodiscard]] UniqueFd open_peer() const;

  /// Tells the program on it of a new size (SIGWINCH).
  void resize(TerminalSize size) const;
  [[nodiscard]] TerminalSize size() const;

  /// The master side's descriptor, still owned.
  [[nodiscard]] int fd() const noexcept { return master_.get(); }

 private:
  UniqueFd master_;
};

/// The size of the terminal at `fd`. Throws SystemError: ENOTTY when it is none.
[[nodiscard]] SBX_API TerminalSize terminal_size(int fd);

/// Puts the terminal at `fd` into raw mode (each key passed on as it is) and back on destruction.
/// The descriptor stays the caller's and must outlive this object. See cfmakeraw(3).
class SBX_API RawMode {
 public:
  explicit RawMode(int fd);
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  RawMode(RawMode&&) = delete;
  RawMode& operator=(RawMode&&) = delete;
  ~RawMode();

  /// Puts the old mode back for a while, such as before stopping; again() re-enters raw mode.
  void restore() const noexcept;
  void again() const noexcept;

 private:
  int fd_;
  termios saved_{};
};

}  // namespace sbx
