// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "support/inject.hpp"

namespace faults {

/// The errors to let a call fail with: those of its manual page that say something about the state
/// of the machine. Empty for a call that cannot fail.
std::vector<int> errors_of(const std::string& process, const std::string& call);

/// Whether a failing call may change this line of the probe, which begins with "- " or "+ ".
bool is_tolerated(const sbx::test::Fault& fault, const std::string& line);

}  // namespace faults
