// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "sbx/fd.hpp"
#include "sbx/network.hpp"

namespace sbx::detail {

/// The way out of a sandbox in the mode kUser: pasta(1), with no way to the caller's own loopback
/// services. It ends with the handle, and with process 1 of the sandbox, whoever ends that. A
/// keeper sees to it, a child of the caller that the handle reaps.
class Pasta {
 public:
  /// Connects the network of the process `pid`, whose pidfd `sandbox` is. Returns once it is up.
  /// Throws SystemError; nothing is left then.
  static Pasta connect(int sandbox, pid_t pid);

  Pasta(Pasta&&) noexcept = default;
  Pasta& operator=(Pasta&& other) noexcept;
  Pasta(const Pasta&) = delete;
  Pasta& operator=(const Pasta&) = delete;
  ~Pasta();

  /// Leaves it to the end of the sandbox.
  void release() noexcept;

 private:
  Pasta() = default;

  UniqueFd keeper_;  // its pidfd; none once it is on its own
  UniqueFd socket_;  // the keeper ends when it hangs up
};

/// Throws std::invalid_argument for what a network in the mode kUser does not have.
void check_pasta(const Network& network);

}  // namespace sbx::detail
