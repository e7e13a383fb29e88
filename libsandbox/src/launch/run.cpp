// SPDX-License-Identifier: Apache-2.0
//
// sbx::run: start, feed, read, wait.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "sbx/sandbox.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"

namespace sbx {
namespace {

using detail::Deadline;
using detail::Pipe;

/// Writing to a pipe that nobody reads ends a process by SIGPIPE: the signal is held back in this
/// thread, and what came of it meanwhile is taken away.
class BrokenPipesIgnored {
 public:
  BrokenPipesIgnored() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  BrokenPipesIgnored(const BrokenPipesIgnored&) = delete;
  BrokenPipesIgnored& operator=(const BrokenPipesIgnored&) = delete;
  BrokenPipesIgnored(BrokenPipesIgnored&&) = delete;
  BrokenPipesIgnored& operator=(BrokenPipesIgnored&&) = delete;
  ~BrokenPipesIgnored() {
    const timespec now{};
    while (!was_pending_ && ::sigtimedwait(&signal_, nullptr, &now) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t signal_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

void do_not_block(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0) detail::throw_errno("cannot prepare a pipe");
}

/// Writes what the pipe takes; closes it at the end of the input, or when nobody reads.
void feed(UniqueFd& pipe, const std::string& input, std::size_t& written) {
  const ssize_t count = ::write(pipe.get(), input.data() + written, input.size() - written);
  if (count > 0) written += static_cast<std::size_t>(count);
  const bool again = count < 0 && (errno == EAGAIN || errno == EINTR);
  if (written == input.size() || (count < 0 && !again)) pipe.reset();
}

/// Reads what is there; closes the pipe at its end.
void drain(UniqueFd& pipe, std::string& text, std::size_t most) {
  std::array<char, 65536> buffer;
  const ssize_t count = ::read(pipe.get(), buffer.data(), buffer.size());
  if (count > 0) {
    const std::size_t room = most - std::min(most, text.size());
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
  }
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) pipe.reset();
}

}  // namespace

Output run(Spec spec, const RunOptions& options) {
  if (spec.command.argv.empty() || spec.command.terminal) {
    throw std::invalid_argument("run() needs a command, and one that is on no terminal");
  }
  Pipe in;
  Pipe out;
  Pipe err;
  do_not_block(in.write);
  do_not_block(out.read);
  do_not_block(err.read);
  spec.command.fds = {{in.read.get(), 0}, {out.write.get(), 1}, {err.write.get(), 2}};
  Sandbox sandbox = Sandbox::start(spec);
  in.read.reset();
  out.write.reset();
  err.write.reset();

  const BrokenPipesIgnored no_signal;
  Output output;
  std::size_t written = 0;
  if (options.input.empty()) in.write.reset();
  // No time left is not the same as no limit.
  const Deadline deadline(options.timeout ? std::max(*options.timeout, std::chrono::milliseconds(0))
                                          : Deadline::kForEver);
  while (in.write || out.read || err.read) {
    std::array<pollfd, 4> fds{{{.fd = in.write.get(), .events = POLLOUT, .revents = 0},
                               {.fd = out.read.get(), .events = POLLIN, .revents = 0},
                               {.fd = err.read.get(), .events = POLLIN, .revents = 0},
                               {.fd = sandbox.fd(), .events = POLLIN, .revents = 0}}};
    if (deadline.is_over()) break;
    if (::poll(fds.data(), fds.size(), deadline.for_poll()) < 0 && errno != EINTR) {
      detail::throw_errno("cannot wait for the command's output");
    }
    // Once everything inside has ended, nobody writes any more: what is there is all.
    const bool ended = fds[3].revents != 0;
    if (fds[0].revents != 0) feed(in.write, options.input, written);
    if (ended) in.write.reset();
    if (fds[1].revents != 0) drain(out.read, output.out, options.output_max_bytes);
    if (fds[2].revents != 0) drain(err.read, output.err, options.output_max_bytes);
  }
  output.report = sandbox.wait_or_kill(deadline.left());
  return output;
}

}  // namespace sbx
