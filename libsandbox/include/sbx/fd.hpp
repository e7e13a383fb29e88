// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "sbx/api.hpp"

namespace sbx {

/// Owns one file descriptor, or none. The only class that calls close(2); every other handle holds
/// a UniqueFd and so needs no destructor of its own.
class SBX_API UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  /// The descriptor, still owned; -1 when there is none.
  [[nodiscard]] int get() const noexcept { return fd_; }

  /// Gives the descriptor away: the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Closes the descriptor held, if any, and takes `fd`. errno is left as it was.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace sbx
