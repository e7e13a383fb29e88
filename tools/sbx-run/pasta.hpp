// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/last_will.hpp"

namespace sbx_run {

/// Connects the network namespace of process `pid` to the outside by pasta(1): unprivileged, with
/// no way to the host's own loopback services. Returns once it is up. pasta ends with the
/// namespace, or when this object goes. Throws sbx::SystemError.
class Pasta {
 public:
  explicit Pasta(pid_t pid);

 private:
  std::optional<tools::LastWill> end_;  // pasta does not notice the end of this process by itself
};

}  // namespace sbx_run
