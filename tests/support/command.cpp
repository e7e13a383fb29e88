// SPDX-License-Identifier: Apache-2.0
#include "support/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "support/process.hpp"

namespace sbx::test {
namespace {

[[noreturn]] void fail(const char* attempt) {
  throw std::system_error(errno, std::system_category(), attempt);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) fail("cannot make a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// In the new process.
[[noreturn]] void execute(const Start& start, int input, int output, int errors) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::dup2(errors, 2);
  if (!start.directory.empty() && ::chdir(start.directory.c_str()) < 0) ::_exit(99);
  const auto argv = pointers(start.argv);
  const auto environment = pointers(start.environment);
  if (start.before_exec) start.before_exec();
  ::execvpe(argv[0], argv.data(), environment.data());
  ::_exit(98);
}

int status_of(int waited) {
  return WIFSIGNALED(waited) ? 128 + WTERMSIG(waited) : WEXITSTATUS(waited);
}

std::chrono::microseconds duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  return variables;
}

Program::Program(const Start& start) {
  ::signal(SIGPIPE, SIG_IGN);  // a program may end before it has read its input
  if (start.terminal) {
    start_on_terminal(start);
  } else {
    start_on_pipes(start);
  }
}

void Program::start_on_pipes(const Start& start) {
  auto [inner_input, input] = make_pipe();
  auto [output, inner_output] = make_pipe();
  auto [errors, inner_errors] = make_pipe();
  pid_ = ::fork();
  if (pid_ < 0) fail("cannot fork");
  if (pid_ == 0) execute(start, inner_input.get(), inner_output.get(), inner_errors.get());
  ::fcntl(input.get(), F_SETFL, O_NONBLOCK);
  input_ = std::move(input);
  output_ = std::move(output);
  errors_ = std::move(errors);
}

void Program::start_on_terminal(const Start& start) {
  terminal_ = Terminal::create();
  terminal_.resize({.rows = 24, .columns = 80});
  const UniqueFd peer = terminal_.open_peer();
  pid_ = ::fork();
  if (pid_ < 0) fail("cannot fork");
  if (pid_ == 0) {
    ::setsid();
    ::ioctl(peer.get(), TIOCSCTTY, 0);
    execute(start, peer.get(), peer.get(), peer.get());
  }
  input_.reset(::fcntl(terminal_.fd(), F_DUPFD_CLOEXEC, 3));
  output_.reset(::fcntl(terminal_.fd(), F_DUPFD_CLOEXEC, 3));
}

Program::~Program() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::type(std::string_view text) {
  pending_ += text;
  feed();
}

void Program::close_input() {
  input_ends_ = true;
  feed();
}

void Program::feed() {
  while (input_ && fed_ < pending_.size()) {
    const ssize_t size = ::write(input_.get(), pending_.data() + fed_, pending_.size() - fed_);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) input_.reset();  // it reads no more
    if (size > 0) fed_ += static_cast<std::size_t>(size);
  }
  if (input_ends_) input_.reset();
}

void Program::read_from(UniqueFd& fd, std::string& text) {
  std::array<char, 65536> bytes;
  const ssize_t size = ::read(fd.get(), bytes.data(), bytes.size());
  if (size > 0) text.append(bytes.data(), static_cast<std::size_t>(size));
  // A terminal that nobody has open any more says EIO.
  if (size == 0 || (size < 0 && errno != EINTR)) fd.reset();
}

bool Program::pump(Clock::time_point end) {
  const bool feeding = input_ && fed_ < pending_.size();
  if (!output_ && !errors_) return false;
  std::array<pollfd, 3> fds = {{{feeding ? input_.get() : -1, POLLOUT, 0},
                                {output_.get(), POLLIN, 0},
                                {errors_.get(), POLLIN, 0}}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  if (::poll(fds.data(), fds.size(), static_cast<int>(std::max<long>(left, 0))) == 0) return false;
  if (fds[0].revents != 0) feed();
  if (fds[1].revents != 0) read_from(output_, ended_.out);
  if (fds[2].revents != 0) read_from(errors_, ended_.err);
  return true;
}

bool Program::says(std::string_view text, std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  for (;;) {
    const std::size_t found = ended_.out.find(text, heard_);
    if (found != std::string::npos) {
      heard_ = found + text.size();
      return true;
    }
    if (!pump(end)) return false;
  }
}

void Program::hang_up() {
  input_.reset();
  output_.reset();
  terminal_ = Terminal(UniqueFd());
}

void Program::signal(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);  // -1 would be everybody
}

Ended Program::wait(std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  close_input();
  while (pump(end)) {
  }
  int waited = 0;
  rusage usage{};
  const auto ended = [&] { return ::wait4(pid_, &waited, WNOHANG, &usage) == pid_; };
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
  const bool closed = !output_ && !errors_;
  const bool done = wait_until(ended, std::max(left, std::chrono::milliseconds(0)));
  if (!done) return ended_;  // the destructor kills it
  pid_ = -1;
  if (closed) ended_.status = status_of(waited);
  ended_.cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
  return ended_;
}

Ended run(const Start& start, std::string_view input, std::chrono::milliseconds deadline) {
  Program program(start);
  program.type(input);
  return program.wait(deadline);
}

Start sbx_run_start(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), tool("sbx-run"));
  return {.argv = std::move(arguments)};
}

Ended sbx_run(std::vector<std::string> arguments, std::string_view input) {
  return run(sbx_run_start(std::move(arguments)), input);
}

Ended sbx_run_shell(std::vector<std::string> flags, std::string script) {
  flags.insert(flags.end(), {"--", "/bin/sh", "-c", std::move(script)});
  return sbx_run(std::move(flags));
}

}  // namespace sbx::test
