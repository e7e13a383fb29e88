// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/background.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <utility>

#include "common/stdio.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"

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
  sbx::detail::Pipe word;
  const pid_t child = ::fork();
  if (child < 0) sbx::detail::throw_errno("cannot go into the background");
  if (child > 0) {
    word.write.reset();
    wait_for_word(word.read.get());
  }
  waiting_ = std::move(word.write);
  ::setsid();
}

void Background::succeed() {
  if (!waiting_) return;
  const char status = 0;
  [[maybe_unused]] const ssize_t written = ::write(waiting_.get(), &status, 1);
  waiting_.reset();
}

void Background::fail(int status, const std::string& line) {
  if (!waiting_) return;
  const sbx::UniqueFd waiting = std::move(waiting_);
  tools::write_all(waiting.get(), static_cast<char>(status) + line, "to the waiting process");
}

}  // namespace sbx_run
