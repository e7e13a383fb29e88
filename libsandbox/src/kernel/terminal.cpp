// SPDX-License-Identifier: Apache-2.0
#include "sbx/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdlib>

#include "sys/error.hpp"

namespace sbx {

using detail::throw_errno;

namespace {

// Waiting for output to drain, tcsetattr(3) is interrupted by any signal that has a handler; a
// terminal left raw for that reason would be unusable.
bool set_mode(int fd, const termios& mode) noexcept {
  int result;
  do {
    result = ::tcsetattr(fd, TCSADRAIN, &mode);
  } while (result < 0 && errno == EINTR);
  return result == 0;
}

termios raw_of(termios mode) noexcept {
  ::cfmakeraw(&mode);
  return mode;
}

// Modes are changed back while an exception is under way, so errno must survive.
void set_mode_quietly(int fd, const termios& mode) noexcept {
  const int saved_errno = errno;
  set_mode(fd, mode);
  errno = saved_errno;
}

}  // namespace

Terminal Terminal::create() {
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) throw_errno("cannot open '/dev/ptmx'");

  const int unlocked = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlocked) < 0)
    throw_errno("cannot unlock a new pseudo-terminal");
  return Terminal(std::move(master));
}

UniqueFd Terminal::open_peer() const {
  // By the descriptor and not by /dev/pts/N: the pair may belong to a devpts that is mounted
  // nowhere in the caller's view, and a path could name another one.
  UniqueFd peer(::ioctl(fd(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!peer) throw_errno("cannot open the peer of the terminal at descriptor {}", fd());
  return peer;
}

void Terminal::resize(TerminalSize size) const {
  const winsize wanted{.ws_row = size.rows, .ws_col = size.columns, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(fd(), TIOCSWINSZ, &wanted) < 0)
    throw_errno("cannot resize the terminal at descriptor {}", fd());
}

TerminalSize Terminal::size() const { return terminal_size(fd()); }

TerminalSize terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) < 0)
    throw_errno("cannot read the size of the terminal at descriptor {}", fd);
  return {.rows = size.ws_row, .columns = size.ws_col};
}

RawMode::RawMode(int fd) : fd_(fd) {
  if (::tcgetattr(fd_, &saved_) < 0)
    throw_errno("cannot read the mode of the terminal at descriptor {}", fd_);
  if (!set_mode(fd_, raw_of(saved_)))
    throw_errno("cannot put the terminal at descriptor {} into raw mode", fd_);
}

RawMode::~RawMode() { restore(); }

void RawMode::restore() const noexcept { set_mode_quietly(fd_, saved_); }

void RawMode::again() const noexcept { set_mode_quietly(fd_, raw_of(saved_)); }

}  // namespace sbx
