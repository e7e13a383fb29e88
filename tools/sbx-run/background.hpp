// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sbx/fd.hpp"

namespace sbx_run {

/// The way into the background: the caller waits until the command runs, or cannot.
class Background {
 public:
  /// Forks. In the caller's process this waits for the word of the other, says it, and exits. In
  /// the new process it returns.
  Background();

  /// Tells the waiting process that the command runs, and lets it go.
  void succeed();

  /// Tells it why not: it says `line` and exits with `status`. Once succeed() was called, nobody
  /// listens.
  void fail(int status, const std::string& line);

 private:
  sbx::UniqueFd waiting_;  // for the word; none once it was given
};

}  // namespace sbx_run
