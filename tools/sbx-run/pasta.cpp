// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/pasta.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"
#include "sys/raw.hpp"

namespace sbx_run {
namespace {

using sbx::UniqueFd;

/// Runs `words` with its words on standard error kept; returns these and its exit status.
struct Ended {
  int status = 0;
  std::string said;
};

Ended run_and_listen(const std::vector<std::string>& words) {
  sbx::detail::Pipe errors;
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) sbx::detail::throw_errno("cannot start '{}'", words[0]);
  if (child == 0) {
    // pasta takes a SIGPIPE that is ignored already for a failure.
    for (int signal = 1; signal < SIGRTMIN; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(errors.write.get(), 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  errors.write.reset();
  Ended ended;
  // It goes into the background with the pipe closed; so this ends when it is up.
  while (::waitpid(child, &ended.status, 0) < 0) {
    if (errno != EINTR) sbx::detail::throw_errno("cannot wait for '{}'", words[0]);
  }
  std::array<char, 4096> text{};
  ::fcntl(errors.read.get(), F_SETFL, O_NONBLOCK);
  const ssize_t size = ::read(errors.read.get(), text.data(), text.size());
  if (size > 0) ended.said.assign(text.data(), static_cast<std::size_t>(size));
  return ended;
}

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  const std::size_t start = text.rfind('\n');
  return start == std::string::npos ? text : text.substr(start + 1);
}

std::vector<std::string> command_line(pid_t pid) {
  std::vector<std::string> words = {"pasta", "--config-net", "--quiet", "--no-map-gw"};
  // No port of the sandbox is opened outside, and none of the host's loopback inside.
  for (const char* direction : {"-t", "-u", "-T", "-U"}) {
    words.insert(words.end(), {direction, "none"});
  }
  if (::geteuid() == 0) words.insert(words.end(), {"--runas", "0:0"});
  words.push_back(std::to_string(pid));
  return words;
}

/// The children of this process. pasta in the background is the only one: see start().
std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  std::ifstream file("/proc/thread-self/children");
  for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
  return pids;
}

void end(const UniqueFd& pasta) {
  if (pasta && sbx::raw::pidfd_send_signal(pasta.get(), SIGKILL) >= 0) return;
  for (const pid_t pid : children()) ::kill(pid, SIGKILL);
}

UniqueFd find_child() {
  const auto pids = children();
  const long found = pids.empty() ? -ESRCH : sbx::raw::pidfd_open(pids.front(), 0);
  if (found < 0) end({});
  return UniqueFd(static_cast<int>(sbx::detail::check(found, "cannot find pasta's process")));
}

/// Starts pasta for `pid`; returns its process once it is up.
UniqueFd start(pid_t pid) {
  // pasta leaves its parent when it goes into the background, and falls to this process then. It
  // needs no file for its pid, which nobody would remove after a SIGKILL.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) sbx::detail::throw_errno("cannot keep 'pasta'");
  const Ended ended = run_and_listen(command_line(pid));
  if (WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 127) {
    throw sbx::SystemError(ENOENT, "cannot execute 'pasta'", "install the package passt");
  }
  if (ended.status != 0) {
    throw sbx::SystemError(EIO, "cannot connect the sandbox by pasta",
                           sbx::detail::printable(last_line(ended.said)));
  }
  return find_child();
}

constexpr char kUp = '+';

/// Runs start() and says how it went: kUp, or what it throws.
UniqueFd start_and_tell(pid_t pid, int answer) noexcept {
  UniqueFd pasta;
  std::string word(1, kUp);
  try {
    pasta = start(pid);
  } catch (const std::exception& error) {
    word = error.what();
  }
  [[maybe_unused]] const ssize_t written = ::write(answer, word.data(), word.size());
  ::close(answer);
  return pasta;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t size = ::read(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

Pasta::Pasta(pid_t pid) {
  sbx::detail::Pipe answer;
  // The process that ends pasta starts it, too: this one may be killed while pasta starts.
  const auto pasta = std::make_shared<UniqueFd>();
  end_.emplace([pasta] { end(*pasta); }, answer.write.get(),
               [pasta, pid, fd = answer.write.get()] { *pasta = start_and_tell(pid, fd); });
  answer.write.reset();
  const std::string word = read_all(answer.read.get());
  if (word.empty()) throw std::runtime_error("cannot connect the sandbox: pasta's keeper is gone");
  if (word[0] != kUp) throw std::runtime_error(word);
}

}  // namespace sbx_run
