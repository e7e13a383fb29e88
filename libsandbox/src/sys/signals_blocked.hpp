// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <cstdint>

#include "sys/raw.hpp"

namespace sbx::detail {

/// Holds every signal back from the calling thread, those of the C library included, as long as
/// this object lives: for the clone of a child that shares the caller's memory, on which a handler
/// that ran in the child would run.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    const std::uint64_t all = ~std::uint64_t{0};
    raw::sigprocmask(SIG_SETMASK, &all, &saved_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  SignalsBlocked(SignalsBlocked&&) = delete;
  SignalsBlocked& operator=(SignalsBlocked&&) = delete;
  ~SignalsBlocked() { raw::sigprocmask(SIG_SETMASK, &saved_, nullptr); }

 private:
  std::uint64_t saved_ = 0;
};

}  // namespace sbx::detail
