// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/report.hpp"

namespace sbx::bench {

/// Where and when this is measured, and by which command.
Grid machine(const std::string& command);

}  // namespace sbx::bench
