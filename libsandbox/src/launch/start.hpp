// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "launch/network/attachment.hpp"
#include "launch/network/pasta.hpp"
#include "launch/plan.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/fd.hpp"
#include "sbx/spec.hpp"

namespace sbx::detail {

/// Process 1 of a new sandbox, at the moment when it has executed the init, or the program.
struct Started {
  UniqueFd pidfd;
  int pid = -1;
  UniqueFd control;             // to the init; none without one
  UniqueFd terminal;            // the master side of the program's; only without an init
  std::optional<Cgroup> group;  // where it has limits
  std::optional<Attachment> network;
  std::optional<Pasta> pasta;
};

/// Carries `plan` out. `listening` is the socket for the init, or -1. Throws SystemError or
/// ExecError; no process is left then.
Started start_child(Plan& plan, const Spec& spec, int listening);

}  // namespace sbx::detail
