// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/report.hpp"

namespace sbx::bench {

/// What a tenant who answers requests notices of one next to it who takes all that he can get.
Section measure_neighbours(const Scale& scale);

}  // namespace sbx::bench
