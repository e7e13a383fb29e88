// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/relay.hpp"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace sbx_run {
namespace {

constexpr char kEndOfInput = 4;  // what Ctrl-D types

// A descriptor that poll(2) calls writable takes as much without waiting: PIPE_BUF.
constexpr std::size_t kPiece = 4096;

// More than a terminal holds: what comes after as much was written by somebody who still runs.
constexpr int kMostLeft = 64;

bool is_transient(int error) { return error == EINTR || error == EAGAIN; }

/// Whether a terminal's master side, which reports EIO then, too, has nobody on the other side and
/// nothing more to read.
bool is_hung_up(int fd) {
  pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) > 0 && state.revents == POLLHUP;
}

}  // namespace

pollfd Flow::wanted() const {
  if (!pending_.empty()) return {.fd = to_, .events = POLLOUT, .revents = 0};
  return {.fd = open_ ? from_ : -1, .events = POLLIN, .revents = 0};
}

void Flow::move() {
  if (!pending_.empty()) {
    const ssize_t count = ::write(to_, pending_.data(), std::min(pending_.size(), kPiece));
    if (count < 0 && is_transient(errno)) return;
    if (count < 0) failure_ = errno;
    pending_.erase(0, count < 0 ? pending_.size() : static_cast<std::size_t>(count));
    return;
  }
  std::array<char, kPiece> bytes;
  const ssize_t size = ::read(from_, bytes.data(), bytes.size());
  const int error = size < 0 ? errno : 0;
  if (is_transient(error)) return;
  if (error != 0 && !(error == EIO && is_hung_up(from_))) failure_ = error;
  open_ = size > 0;
  if (!open_) return;
  pending_.assign(bytes.data(), static_cast<std::size_t>(size));
  last_ = pending_.back();
}

TerminalRelay::TerminalRelay(sbx::Terminal terminal)
    : terminal_(std::move(terminal)),
      input_(STDIN_FILENO, terminal_.fd()),
      output_(terminal_.fd(), STDOUT_FILENO) {
  ::fcntl(terminal_.fd(), F_SETFL, O_RDWR | O_NONBLOCK);
  if (::isatty(STDIN_FILENO) != 1) return;
  raw_.emplace(STDIN_FILENO);
  resize();
}

void TerminalRelay::move_input() {
  input_.move();
  if (input_.is_open()) return;
  // In the middle of a line the first one only ends the line.
  input_.append(std::string(input_.last() == '\n' ? 1 : 2, kEndOfInput));
}

int TerminalRelay::drain(int interrupt) {
  for (int i = 0; i < kMostLeft && !output_.is_done();) {
    pollfd fds[] = {output_.wanted(), {.fd = interrupt, .events = POLLIN, .revents = 0}};
    const bool writing = fds[0].events == POLLOUT;
    const int patience = writing && interrupt >= 0 ? -1 : 0;
    const int ready = ::poll(fds, 2, patience);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno;
    if (ready == 0 || fds[1].revents != 0) break;
    output_.move();
    if (!writing) ++i;
  }
  return output_.failure() == EPIPE ? 0 : output_.failure();
}

void TerminalRelay::resize() const {
  if (raw_) terminal_.resize(sbx::terminal_size(STDIN_FILENO));
}

void TerminalRelay::pause() const {
  if (raw_) raw_->restore();
}

void TerminalRelay::go_on() const {
  if (!raw_) return;
  raw_->again();
  resize();
}

}  // namespace sbx_run
