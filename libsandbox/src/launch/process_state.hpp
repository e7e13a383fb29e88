// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "launch/group.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/fd.hpp"
#include "sbx/process.hpp"

namespace sbx {

struct Process::State {
  UniqueFd channel;   // to the init, about this program
  UniqueFd terminal;  // the master side
  int pid = 0;        // inside
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::optional<Report> ended;
  std::optional<detail::OomCount> oom;
  std::optional<Cgroup> share;  // of the sandbox's group, where the program has limits of its own
};

}  // namespace sbx
