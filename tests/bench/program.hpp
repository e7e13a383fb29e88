// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace sbx::bench {

/// Runs a whole process to its end, with empty input: the microseconds that it took. Throws
/// CannotRun, with the first line that it wrote to its standard error, when it is not there or
/// fails.
double time_program(const std::vector<std::string>& words);

}  // namespace sbx::bench
