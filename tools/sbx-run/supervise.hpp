// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <chrono>
#include <optional>

#include "sbx-run/job.hpp"
#include "sbx/fd.hpp"

namespace sbx_run {

/// The signals that are the command's: from here on they wait for supervise() instead of ending
/// sbx-run. To be made just before the command is started, so that none is lost.
class HeldSignals {
 public:
  HeldSignals();

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// The next one that is to be passed on; none when there is none.
  [[nodiscard]] std::optional<signalfd_siginfo> next() const;

 private:
  sbx::UniqueFd fd_;
  sigset_t ignored_{};  // by who called sbx-run
};

struct Supervision {
  std::optional<std::chrono::milliseconds> timeout;
  bool background = false;  // nobody's job: never stops itself
};

/// Stays with `job` until it ends: passes signals on, relays its terminal, stops and goes on with
/// it, keeps the time.
sbx::Report supervise(Job& job, const HeldSignals& signals, const Supervision& supervision);

}  // namespace sbx_run
