// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/report.hpp"

namespace sbx::bench {

/// Whole processes: the floor, sbx-run and the peers, in two shapes of root.
Section measure_processes(const Scale& scale, const std::string& sbx_run, const std::string& floor);

}  // namespace sbx::bench
