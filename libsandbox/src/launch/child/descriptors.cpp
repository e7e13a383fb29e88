// SPDX-License-Identifier: Apache-2.0
#include "launch/child/descriptors.hpp"

#include "sys/raw.hpp"

namespace sbx::child {

long number_descriptors(const int* numbers, int count, int* kept) noexcept {
  if (count > kMostNumbered) return -E2BIG;
  // All are copied out of the way first, because one's new number may be another's old one.
  int copies[kMostNumbered];
  for (int i = 0; i < count; ++i) {
    copies[i] = -1;
    if (numbers[i] < 0) continue;
    const long copy = raw::fcntl(numbers[i], F_DUPFD_CLOEXEC, count);
    if (copy < 0) return copy;
    copies[i] = static_cast<int>(copy);
  }
  const long copy = raw::fcntl(*kept, F_DUPFD_CLOEXEC, count);
  if (copy < 0) return copy;
  *kept = static_cast<int>(copy);
  long result = raw::close_range(0, ~0U, CLOSE_RANGE_CLOEXEC);
  for (int i = 0; i < count && result >= 0; ++i) {
    if (copies[i] >= 0) result = raw::dup3(copies[i], i, 0);
  }
  return result < 0 ? result : 0;
}

}  // namespace sbx::child
