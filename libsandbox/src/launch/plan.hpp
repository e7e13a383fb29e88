// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/child/setup.hpp"
#include "launch/id_view.hpp"
#include "launch/identity.hpp"
#include "launch/program_block.hpp"
#include "launch/step_list.hpp"
#include "sbx/cgroup.hpp"
#include "sbx/fd.hpp"
#include "sbx/spec.hpp"

namespace sbx::detail {

/// A Spec made ready: everything opened, read and laid out that the child will need, which then
/// only walks along it. Its parts point to each other, so it stays where it is.
struct Plan {
  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  Plan(Plan&&) = delete;
  Plan& operator=(Plan&&) = delete;
  ~Plan() = default;

  Identity identity;
  std::uint64_t namespaces = 0;  // CLONE_NEW*
  StepList skeleton;
  StepList steps;
  std::vector<UniqueFd> fds;  // what the child inherits
  std::vector<IdMappedTree> id_mapped;
  std::vector<int> passed_fds;
  ProgramBlock program;
  std::optional<Cgroup> group;  // with the limits; made right before the child
  std::string hostname;
  std::string cpu_limit;
  child::Setup setup;
};

/// Fills an empty plan, but for the root. Throws SystemError or std::invalid_argument; nothing is
/// made by then that outlives the plan.
void compile(const Spec& spec, Plan& plan);

/// Fills in how the root of `spec` is built: steps, sources, layers. The longest part, and done
/// while the child makes its namespaces. Throws as compile() does.
void plan_root(const Spec& spec, Plan& plan);

/// Who a program is when its command does not say.
struct Occupant {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::string home;
};

/// What a Program is made from for `command`; what a policy says is left out.
ProgramParts command_parts(const Command& command, const Occupant& occupant);

/// The paths to try for `program` in the PATH of `environment`, as execvp(3) has it.
std::vector<std::string> candidates_for(const std::string& program,
                                        const std::vector<std::string>& environment);

/// Adds the caller's descriptors that `command` passes, in the order of its inner numbers.
void append_passed(const Command& command, std::vector<int>& fds);

}  // namespace sbx::detail
