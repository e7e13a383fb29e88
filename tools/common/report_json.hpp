// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sbx/report.hpp"

namespace tools {

/// One JSON object and a newline. What was not measured is null.
std::string report_json(const std::string& name, const sbx::Report& report);

}  // namespace tools
