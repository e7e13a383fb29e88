// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "sbx-run/job.hpp"

namespace sbx_run {

struct Supervision {
  std::optional<std::chrono::milliseconds> timeout;
  bool background = false;  // nobody's job: never stops itself
};

/// Stays with `job` until it ends: passes signals on, relays its terminal, stops and goes on with
/// it, keeps the time.
sbx::Report supervise(Job& job, const Supervision& supervision);

}  // namespace sbx_run
