// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sbx-run/options.hpp"

namespace sbx_run {

/// Lays the [sandbox] and [network] tables of the vassal file that --config names over
/// `options.spec`, if there is one. `arguments` are asked only for what they override in it. Throws
/// std::invalid_argument with file, line and column, or sbx::SystemError.
void apply_config(const Arguments& arguments, Options& options);

}  // namespace sbx_run
