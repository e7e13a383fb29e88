// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "launch/child/failure.hpp"
#include "launch/plan.hpp"

namespace sbx::detail {

/// What the sentences are about.
struct FailureContext {
  const Plan* plan = nullptr;  // of a start; null for an exec
  std::string program;         // argv[0]
  std::string workdir;
};

/// What `step` does, as the end of "cannot ...".
std::string step_text(const child::Step& step);

/// Throws the exception that `failure` of a child stands for: the one place that knows the sentence
/// of each stage.
[[noreturn]] void throw_failure(const child::Failure& failure, const FailureContext& context);

}  // namespace sbx::detail
