// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "launch/plan.hpp"
#include "sbx/fd.hpp"

namespace sbx::detail {

/// A sandbox's init, found and known to be the caller's.
struct Found {
  UniqueFd control;
  UniqueFd pidfd;
  int pid = -1;
  Occupant occupant;
};

/// Connects to the init that listens at `path`, and makes sure of it: the folder and the socket are
/// the caller's and nobody else may write there; the process that listens lives in a user namespace
/// that the caller made. Throws SystemError: EPERM for one that is somebody else's.
Found find_init(const std::filesystem::path& path);

}  // namespace sbx::detail
