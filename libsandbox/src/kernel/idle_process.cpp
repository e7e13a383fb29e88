// SPDX-License-Identifier: Apache-2.0
#include "kernel/idle_process.hpp"

#include <sched.h>

#include "sys/raw.hpp"
#include "sys/signals_blocked.hpp"

namespace sbx::detail {

IdleProcess::IdleProcess(std::uint64_t namespaces) : stack_(new std::byte[kStackSize]) {
  int pidfd = -1;
  clone_args args{};
  args.flags = namespaces | CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = static_cast<std::uint64_t>(raw::address(&pidfd));
  args.stack = static_cast<std::uint64_t>(raw::address(stack_.get()));
  args.stack_size = kStackSize;

  // The child keeps the mask, so that no signal of its process group wakes it; SIGKILL still does.
  const SignalsBlocked blocked;
  const long result = raw::clone3(&args, sizeof args, stay, this);
  if (result < 0) {
    error_ = static_cast<int>(-result);
    return;
  }
  pid_ = static_cast<int>(result);
  pidfd_.reset(pidfd);
}

// Runs beside the caller's threads, in their memory and on the thread-local storage of one of them:
// nothing but raw calls.
void IdleProcess::stay(void* self) noexcept {
  auto& process = *static_cast<IdleProcess*>(self);
  // Its copies of the caller's descriptors would keep files and pipes open, life_.write among them.
  const auto kept = static_cast<unsigned>(process.life_.read.get());
  if (kept > 0) raw::close_range(0, kept - 1, 0);
  raw::close_range(kept + 1, ~0U, 0);
  raw::read(static_cast<int>(kept), &process.nothing_, 1);
  raw::exit_group(0);
}

IdleProcess::~IdleProcess() {
  if (!pidfd_) return;
  raw::kill_process(pidfd_.get(), pid_);
  raw::reap(pidfd_.get());
}

}  // namespace sbx::detail
