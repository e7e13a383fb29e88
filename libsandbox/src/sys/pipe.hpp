// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "sbx/fd.hpp"
#include "sys/error.hpp"

namespace sbx::detail {

/// A new pipe(7), whose ends no other program inherits.
struct Pipe {
  /// `flags`: more of pipe2(2)'s than O_CLOEXEC. Throws SystemError.
  explicit Pipe(int flags = 0) {
    int ends[2];
    if (::pipe2(ends, flags | O_CLOEXEC) < 0) throw_errno("cannot make a pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }

  UniqueFd read;
  UniqueFd write;
};

}  // namespace sbx::detail
