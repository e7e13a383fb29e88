// SPDX-License-Identifier: Apache-2.0
//
// Limits as the files of control groups take them.
#pragma once

#include <string>
#include <vector>

#include "sbx/cgroup.hpp"

namespace sbx::detail {

/// One file of a controller, and what is to be written to it.
struct CgroupSetting {
  Controller controller;
  std::string file;
  std::string text;

  friend bool operator==(const CgroupSetting&, const CgroupSetting&) = default;
};

/// Throws std::invalid_argument for limits that make no sense on any kernel.
void check_limits(const Limits& limits);

/// What to write for the part of `limits` that `controller` holds, in this order, with either
/// version. Throws std::invalid_argument for what version 1 cannot do, and SystemError for a device
/// that is none.
std::vector<CgroupSetting> settings_for(const Limits& limits, Controller controller, bool unified);

/// Whether any swap is in use on the machine.
bool machine_has_swap();

}  // namespace sbx::detail
