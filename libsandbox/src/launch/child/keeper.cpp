// SPDX-License-Identifier: Apache-2.0
#include "launch/child/keeper.hpp"

#include <signal.h>
#include <sys/prctl.h>

#include "launch/child/block.hpp"
#include "launch/child/program.hpp"
#include "sys/raw.hpp"

namespace sbx::child {
namespace {

constexpr int kEveryChild = -1;

bool tell(const KeeperWord& word) noexcept {
  long written = 0;
  do {
    written = raw::write(KeeperFd::kMaker, &word, sizeof word);
  } while (written == -EINTR);
  return written == sizeof word;
}

/// Kills every child of this process, who are in the file `list`. Below zero when it may not have
/// reached all; else how many.
long kill_children(int list) noexcept {
  char text[4096];
  const long size = raw::pread(list, text, sizeof text, 0);
  if (size < 0) return size;
  long killed = 0;
  long failure = 0;
  int pid = 0;
  for (long i = 0; i < size; ++i) {
    if (text[i] >= '0' && text[i] <= '9') {
      pid = pid * 10 + (text[i] - '0');
      continue;
    }
    const long result = raw::kill(pid, SIGKILL);
    result < 0 ? failure = result : ++killed;
    pid = 0;
  }
  return failure < 0 ? failure : killed;
}

/// Those that a child leaves behind become children of this process.
void end_children(int list) noexcept {
  for (;;) {
    const long killed = kill_children(list);
    const int options = killed > 0 ? __WALL : __WALL | WNOHANG;
    if (raw::wait4(kEveryChild, nullptr, options, nullptr) == -ECHILD) return;
    const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    if (killed <= 0) raw::ppoll(nullptr, 0, &pause);
  }
}

[[noreturn]] void become_pasta(Program* program) noexcept {
  relocate(program);
  const long result = release_signals();
  Failure failure = result < 0 ? failed(Stage::kKeeper, result) : execute(program);
  if (failure.stage == Stage::kExec) failure.stage = Stage::kPasta;
  tell({.failure = failure});
  raw::exit_group(127);
}

/// Returns when pasta has gone into the background, which it does when the network is up, or has
/// ended; or the maker is gone, who would have been told.
KeeperWord start_pasta() noexcept {
  const Block block(KeeperFd::kProgram);
  if (block.program() == nullptr) return {.failure = failed(Stage::kKeeper, -EINVAL)};
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  const long pid = raw::clone3_fork(&arguments, sizeof arguments);
  if (pid < 0) return {.failure = failed(Stage::kKeeper, pid)};
  if (pid == 0) become_pasta(block.program());
  pollfd watched[] = {{.fd = pidfd, .events = POLLIN, .revents = 0},
                      {.fd = KeeperFd::kMaker, .events = POLLIN, .revents = 0}};
  long count = 0;
  do {
    count = raw::ppoll(watched, 2, nullptr);
  } while (count == -EINTR || count == -ENOMEM);
  KeeperWord word{.failure = {}, .status = -1};
  const int options = watched[0].revents != 0 ? __WALL : __WALL | WNOHANG;
  raw::wait4(static_cast<int>(pid), &word.status, options, nullptr);
  return word;
}

/// No program inherits this process's own descriptors. The list of its children: without it there
/// would be no end of them.
long prepare() noexcept {
  raw::prctl(PR_SET_NAME, reinterpret_cast<unsigned long>("sbx-keeper"));
  long result = raw::close_range(KeeperFd::kMaker, ~0U, CLOSE_RANGE_CLOEXEC);
  // pasta leaves its parent when it goes into the background, and falls to this process then.
  if (result >= 0) result = raw::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (result < 0) return result;
  return raw::openat(AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
}

/// Returns when the sandbox has ended, or its maker is gone and has not said that it shall go on.
void wait_for_end() noexcept {
  pollfd watched[] = {{.fd = KeeperFd::kSandbox, .events = POLLIN, .revents = 0},
                      {.fd = KeeperFd::kMaker, .events = POLLIN, .revents = 0}};
  for (;;) {
    const long count = raw::ppoll(watched, 2, nullptr);
    if (count == -EINTR || count == -ENOMEM) continue;
    if (count <= 0 || watched[0].revents != 0) return;
    char byte = 0;
    const long size = raw::read(KeeperFd::kMaker, &byte, 1);
    if (size == 0 || (size < 0 && size != -EINTR)) return;
    if (size > 0) watched[1].fd = -1;
  }
}

}  // namespace

[[noreturn]] void image_main(const long* stack) noexcept;

[[noreturn]] void image_main(const long* /*stack*/) noexcept {
  const long children = prepare();
  const KeeperWord word =
      children < 0 ? KeeperWord{.failure = failed(Stage::kKeeper, children)} : start_pasta();
  raw::chdir("/");  // no working directory is kept in use
  const bool told = tell(word);
  if (told && !word.failure && word.status == 0) wait_for_end();
  end_children(static_cast<int>(children));
  raw::exit_group(0);
}

}  // namespace sbx::child
