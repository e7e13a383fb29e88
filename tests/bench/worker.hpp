// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>

#include "sbx/fd.hpp"

namespace sbx::bench {

/// A process of its own that measures on request, for callers that are made to be unusual: large,
/// with many mounts, with many sandboxes. It ends when its owner does.
class Worker {
 public:
  using Measurement = std::function<double()>;

  /// `prepare` runs in the new process and returns what each request then runs. Throws CannotRun
  /// with what it has thrown. For a caller with one thread.
  explicit Worker(const std::function<Measurement()>& prepare);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  Worker(Worker&&) = delete;
  Worker& operator=(Worker&&) = delete;
  ~Worker();

  /// Measures once.
  double operator()();

 private:
  double answer();

  UniqueFd socket_;
  pid_t pid_ = -1;
};

}  // namespace sbx::bench
