// SPDX-License-Identifier: Apache-2.0
//
// The library and the floor in the bench's own process.
#pragma once

#include "bench/floor/floor.h"
#include "bench/report.hpp"
#include "sbx/sandbox.hpp"

namespace sbx::bench {

/// A sandbox as nobody asks for anything, that runs /usr/bin/true.
Spec plain_spec();

/// Starts `spec` and waits for its end: the microseconds from the call on.
double time_start(const Spec& spec);

/// The floor, up to `part`.
double time_floor(floor_part part);

/// Whether the floor and the library make the same: mounts, files of /etc and /dev, capabilities.
Section compare_with_floor();

/// What each part of a start costs, by the floor and by the library.
Section measure_library(const Scale& scale);

}  // namespace sbx::bench
