// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/keep.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "common/stdio.hpp"
#include "sys/error.hpp"

namespace sbx_run {
namespace {

constexpr int kSetupFailed = 125;

/// The first byte is the exit status; what follows is the line for standard error.
[[noreturn]] void wait_for_word(int pipe) {
  std::string word;
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t size = ::read(pipe, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    word.append(bytes.data(), static_cast<std::size_t>(size));
  }
  const int status = word.empty() ? kSetupFailed : static_cast<unsigned char>(word[0]);
  if (word.size() > 1) std::fputs(word.c_str() + 1, stderr);
  if (word.empty())
    std::fputs("sbx-run: cannot run in the background: the process there ended early\n", stderr);
  std::fflush(stderr);
  ::_exit(status);
}

}  // namespace

Background::Background() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) sbx::detail::throw_errno("cannot make a pipe");
  const pid_t child = ::fork();
  if (child < 0) sbx::detail::throw_errno("cannot go into the background");
  if (child > 0) {
    ::close(ends[1]);
    wait_for_word(ends[0]);
  }
  ::close(ends[0]);
  pipe_ = ends[1];
  ::setsid();
}

void Background::succeed() {
  if (pipe_ < 0) return;
  const char status = 0;
  [[maybe_unused]] const ssize_t written = ::write(pipe_, &status, 1);
  ::close(pipe_);
  pipe_ = -1;
}

void Background::fail(int status, const std::string& line) {
  if (pipe_ < 0) return;
  const std::string word = static_cast<char>(status) + line;
  tools::write_all(pipe_, word, "to the waiting process");
  ::close(pipe_);
  pipe_ = -1;
}

}  // namespace sbx_run
