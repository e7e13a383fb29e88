// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "sbx/fd.hpp"

namespace tools {

/// A deed that is done when this process ends, however it ends, SIGKILL included; or when this
/// object goes. A process of its own waits for that: it ignores the signals that end others, has a
/// name of its own, and holds nothing of this one's open.
class LastWill {
 public:
  /// `deed` runs in that process. Throws SystemError.
  explicit LastWill(const std::function<void()>& deed);
  LastWill(const LastWill&) = delete;
  LastWill& operator=(const LastWill&) = delete;
  LastWill(LastWill&&) = delete;
  LastWill& operator=(LastWill&&) = delete;

  /// Has it not done after all.
  void cancel();

  /// Has it done, and waits until it is.
  ~LastWill();

 private:
  sbx::UniqueFd alive_;  // the other process reads its end: it closes when this one ends
  int executor_ = -1;
};

}  // namespace tools
