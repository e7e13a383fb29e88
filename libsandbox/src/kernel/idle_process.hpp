// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sbx/fd.hpp"
#include "sys/pipe.hpp"

namespace sbx::detail {

/// A process that does nothing but be there: in a namespace made for it, so that others can write
/// its maps and open it, or in a control group, so that it is not empty. It shares the caller's
/// memory, so that it costs the same whatever his size, and sends no SIGCHLD, so that he and his
/// wait(2) do not notice it. Ends with this object, and with the caller.
class IdleProcess {
 public:
  /// `namespaces`: CLONE_NEW*, those that are made for it. error() says whether there is one.
  explicit IdleProcess(std::uint64_t namespaces = 0);
  IdleProcess(const IdleProcess&) = delete;
  IdleProcess& operator=(const IdleProcess&) = delete;
  IdleProcess(IdleProcess&&) = delete;
  IdleProcess& operator=(IdleProcess&&) = delete;
  ~IdleProcess();

  [[nodiscard]] int pid() const noexcept { return pid_; }

  /// The errno of the clone; 0 when there is a process.
  [[nodiscard]] int error() const noexcept { return error_; }

 private:
  static constexpr std::size_t kStackSize = 16384;

  static void stay(void* self) noexcept;

  std::unique_ptr<std::byte[]> stack_;
  Pipe life_;  // nothing is ever written, but it ends with the caller, however he dies
  UniqueFd pidfd_;
  int pid_ = -1;
  int error_ = 0;
  char nothing_ = 0;
};

}  // namespace sbx::detail
