// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/report.hpp"

namespace sbx::bench {

/// What a start costs a caller that is large, has many mounts or many sandboxes, and how many
/// threads start at once.
Section measure_callers(const Scale& scale);

/// What stays in memory: of a waiting init, and of a program that has started many sandboxes.
Section measure_memory(const Scale& scale);

}  // namespace sbx::bench
