// SPDX-License-Identifier: Apache-2.0
#include "sbx/fd.hpp"

#include <unistd.h>

#include <cerrno>

namespace sbx {

void UniqueFd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0 || old == fd) return;

  // A destructor often runs between a failed call and the throw that reports it, so errno must
  // survive. close(2) is not retried: on Linux the descriptor is gone even after EINTR.
  const int saved_errno = errno;
  ::close(old);
  errno = saved_errno;
}

}  // namespace sbx
