// SPDX-License-Identifier: Apache-2.0
#include "sbx/terminal.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "sbx/error.hpp"
#include "support/require.hpp"

using sbx::RawMode;
using sbx::Terminal;
using sbx::TerminalSize;
using sbx::UniqueFd;

#define REQUIRE_TERMINALS() \
  if (::access("/dev/ptmx", R_OK | W_OK) < 0) SBX_SKIP("needs /dev/ptmx")

namespace {

termios mode_of(int fd) {
  termios mode{};
  ::tcgetattr(fd, &mode);
  return mode;
}

bool waits_for_lines(int fd) { return (mode_of(fd).c_lflag & ICANON) != 0; }

bool same(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag &&
         a.c_lflag == b.c_lflag;
}

std::string read_some(int fd) {
  char buffer[64];
  const ssize_t size = ::read(fd, buffer, sizeof buffer);
  return {buffer, size > 0 ? static_cast<std::size_t>(size) : 0};
}

UniqueFd no_terminal() { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

std::string at_descriptor(const std::string& attempt, int fd, const std::string& reason) {
  return attempt + " the terminal at descriptor " + std::to_string(fd) + reason;
}

const std::string kNoTerminal = ": Inappropriate ioctl for device";

}  // namespace

TEST_CASE("the program on a terminal reads what is written to its master side") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();

  CHECK(::write(terminal.fd(), "typed\n", 6) == 6);

  CHECK(read_some(peer.get()) == "typed\n");
}

TEST_CASE("the master side of a terminal reads what the program on it writes") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();

  CHECK(::write(peer.get(), "shown", 5) == 5);

  CHECK(read_some(terminal.fd()) == "shown");
}

TEST_CASE("both sides of a new terminal are closed by execve") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();

  CHECK(::fcntl(terminal.fd(), F_GETFD) == FD_CLOEXEC);
  CHECK(::fcntl(peer.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a terminal that goes hangs up on the program on it") {
  REQUIRE_TERMINALS();
  UniqueFd peer;

  { peer = Terminal::create().open_peer(); }

  CHECK(::write(peer.get(), "x", 1) == -1);
  CHECK(errno == EIO);
}

TEST_CASE("a terminal that was moved is closed by its new owner only") {
  REQUIRE_TERMINALS();
  auto first = Terminal::create();
  const int fd = first.fd();

  const Terminal second = std::move(first);

  CHECK(second.fd() == fd);
  CHECK(second.size() == TerminalSize{.rows = 0, .columns = 0});
}

TEST_CASE("the program on a terminal sees the size that it was given") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();

  terminal.resize({.rows = 50, .columns = 132});

  CHECK(terminal.size() == TerminalSize{.rows = 50, .columns = 132});
  CHECK(sbx::terminal_size(peer.get()) == TerminalSize{.rows = 50, .columns = 132});
}

TEST_CASE("raw mode lasts as long as its object") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();
  const auto before = mode_of(peer.get());

  {
    const RawMode raw(peer.get());
    CHECK_FALSE(waits_for_lines(peer.get()));
  }

  CHECK(same(mode_of(peer.get()), before));
}

TEST_CASE("a terminal in raw mode passes each key on as it is") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();
  const RawMode raw(peer.get());

  CHECK(::write(terminal.fd(), "\x03\r", 2) == 2);

  CHECK(read_some(peer.get()) == "\x03\r");
}

TEST_CASE("raw mode can be left for a while and entered again") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  const auto peer = terminal.open_peer();
  const RawMode raw(peer.get());

  raw.restore();
  CHECK(waits_for_lines(peer.get()));

  raw.again();
  CHECK_FALSE(waits_for_lines(peer.get()));
}

TEST_CASE("leaving raw mode keeps errno, even where the terminal is gone") {
  REQUIRE_TERMINALS();
  const auto terminal = Terminal::create();
  auto peer = terminal.open_peer();
  const RawMode raw(peer.get());
  peer.reset();

  errno = ENOSPC;
  raw.restore();

  CHECK(errno == ENOSPC);
}

TEST_CASE("raw mode of what is no terminal is an error") {
  const auto file = no_terminal();
  const auto message = at_descriptor("cannot read the mode of", file.get(), kNoTerminal);

  CHECK_THROWS_WITH_AS(RawMode(file.get()), message.c_str(), sbx::SystemError);
}

TEST_CASE("the size of what is no terminal is an error") {
  const auto file = no_terminal();
  const auto message = at_descriptor("cannot read the size of", file.get(), kNoTerminal);

  CHECK_THROWS_WITH_AS((void)sbx::terminal_size(file.get()), message.c_str(), sbx::SystemError);
}

TEST_CASE("the size of no descriptor is an error") {
  CHECK_THROWS_WITH_AS((void)sbx::terminal_size(-1),
                       "cannot read the size of the terminal at descriptor -1: Bad file descriptor",
                       sbx::SystemError);
}

TEST_CASE("what is no terminal cannot be resized") {
  const Terminal terminal(no_terminal());
  const auto message = at_descriptor("cannot resize", terminal.fd(), kNoTerminal);

  CHECK_THROWS_WITH_AS(terminal.resize({}), message.c_str(), sbx::SystemError);
}

TEST_CASE("what is no terminal has no peer") {
  const Terminal terminal(no_terminal());
  const auto message = at_descriptor("cannot open the peer of", terminal.fd(), kNoTerminal);

  CHECK_THROWS_WITH_AS((void)terminal.open_peer(), message.c_str(), sbx::SystemError);
}
