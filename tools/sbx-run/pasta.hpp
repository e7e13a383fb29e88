// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

namespace sbx_run {

/// Connects the network namespace of process `pid` to the outside by pasta(1): unprivileged, with
/// no way to the host's own loopback services. Returns once it is up. pasta ends with the
/// namespace, or when this object goes. Throws sbx::SystemError.
class Pasta {
 public:
  explicit Pasta(pid_t pid);
  Pasta(const Pasta&) = delete;
  Pasta& operator=(const Pasta&) = delete;
  Pasta(Pasta&&) = delete;
  Pasta& operator=(Pasta&&) = delete;
  ~Pasta();

 private:
  pid_t pid_ = -1;
};

}  // namespace sbx_run
