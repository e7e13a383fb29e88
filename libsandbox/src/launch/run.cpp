// SPDX-License-Identifier: Apache-2.0
//
// sbx::run: start, feed, read, wait.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sbx/sandbox.hpp"
#include "sys/error.hpp"

namespace sbx {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) detail::throw_errno("cannot make a pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }

  UniqueFd read;
  UniqueFd write;
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

  Output output;
  std::size_t written = 0;
  if (options.input.empty()) in.write.reset();
  const auto deadline = Clock::now() + options.timeout.value_or(milliseconds(0));
  while (in.write || out.read || err.read) {
    std::array<pollfd, 4> fds{{{.fd = in.write.get(), .events = POLLOUT, .revents = 0},
                               {.fd = out.read.get(), .events = POLLIN, .revents = 0},
                               {.fd = err.read.get(), .events = POLLIN, .revents = 0},
                               {.fd = sandbox.fd(), .events = POLLIN, .revents = 0}}};
    int wait = -1;
    if (options.timeout) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) break;
      wait = static_cast<int>(std::min<std::int64_t>(left, 1 << 30));
    }
    if (::poll(fds.data(), fds.size(), wait) < 0 && errno != EINTR) {
      detail::throw_errno("cannot wait for the command's output");
    }
    // Once everything inside has ended, nobody writes any more: what is there is all.
    const bool ended = fds[3].revents != 0;
    if (fds[0].revents != 0) feed(in.write, options.input, written);
    if (ended) in.write.reset();
    if (fds[1].revents != 0) drain(out.read, output.out, options.output_max_bytes);
    if (fds[2].revents != 0) drain(err.read, output.err, options.output_max_bytes);
  }
  output.report =
      options.timeout
          ? sandbox.wait_or_kill(
                std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - Clock::now())))
          : sandbox.wait();
  return output;
}

}  // namespace sbx
