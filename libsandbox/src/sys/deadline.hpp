// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace sbx::detail {

/// A moment until which somebody waits, or never.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;

  static constexpr milliseconds kForEver{-1};

  /// `wait` from now on; below zero, or longer than a century: never.
  explicit Deadline(milliseconds wait) {
    constexpr milliseconds kCentury = std::chrono::years(100);
    if (wait.count() >= 0 && wait < kCentury) at_ = Clock::now() + wait;
  }

  /// Rounded up; 0 once it is over, kForEver when it never is.
  [[nodiscard]] milliseconds left() const {
    if (!at_) return kForEver;
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*at_ - Clock::now()));
  }
  [[nodiscard]] bool is_over() const { return left() == milliseconds(0); }

  /// What is left as poll(2) takes it.
  [[nodiscard]] int for_poll() const {
    constexpr milliseconds kLongest{1 << 30};
    return static_cast<int>(std::min(left(), kLongest).count());
  }

 private:
  std::optional<Clock::time_point> at_;
};

}  // namespace sbx::detail
