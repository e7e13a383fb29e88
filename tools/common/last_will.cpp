// SPDX-License-Identifier: Apache-2.0
#include "common/last_will.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "common/stdio.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"

namespace tools {
namespace {

using sbx::UniqueFd;

constexpr std::string_view kName = "sbx-sweeper";

/// Gives this process a name of its own in /proc/PID/cmdline, too: who kills every sbx-run by its
/// name shall not hit the one that tidies up after it.
void rename_process() {
  ::prctl(PR_SET_NAME, kName.data());
  const UniqueFd cmdline(::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> words;
  const ssize_t size = ::read(cmdline.get(), words.data(), words.size());
  if (size <= 0) return;
  // The words of argv lie one after the other, from the first on.
  std::fill_n(program_invocation_name, size, '\0');
  kName.copy(program_invocation_name, static_cast<std::size_t>(size) - 1);
}

void close_all(unsigned first, unsigned last) {
  if (::close_range(first, last, 0) == 0) return;
  const auto most = static_cast<unsigned>(::sysconf(_SC_OPEN_MAX));
  for (unsigned fd = first; fd <= std::min(last, most); ++fd) ::close(static_cast<int>(fd));
}

void close_others(int fd) {
  const auto kept = static_cast<unsigned>(fd);
  if (kept > 0) close_all(0, kept - 1);
  close_all(kept + 1, ~0U);
}

[[noreturn]] void wait_and_do(int pipe, const std::function<void()>& deed) noexcept {
  ::setsid();
  rename_process();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE}) {
    ::signal(signal, SIG_IGN);
  }
  close_others(pipe);
  fill_standard_descriptors();
  char byte = 0;
  ssize_t size = 0;
  do {
    size = ::read(pipe, &byte, 1);
  } while (size < 0 && errno == EINTR);
  const bool cancelled = size > 0;
  if (!cancelled) deed();
  ::_exit(0);
}

}  // namespace

LastWill::LastWill(const std::function<void()>& deed) {
  sbx::detail::Pipe life;
  alive_ = std::move(life.write);
  executor_ = ::fork();
  if (executor_ < 0) sbx::detail::throw_errno("cannot start the process that tidies up");
  if (executor_ == 0) {
    // Not left to close_others(), which may fail: whoever holds this end would wait for himself.
    alive_.reset();
    wait_and_do(life.read.get(), deed);
  }
}

void LastWill::cancel() {
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = ::write(alive_.get(), &byte, 1);
}

LastWill::~LastWill() {
  alive_.reset();
  ::waitpid(executor_, nullptr, 0);
}

}  // namespace tools
