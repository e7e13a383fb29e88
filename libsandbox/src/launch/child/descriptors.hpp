// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sbx::child {

/// Gives the descriptor numbers[i] the number i, for the program that is executed next; nothing has
/// the number i where that is below zero. All others are closed by then, `kept` too, which gets a
/// number out of their way. At most kMostNumbered; below zero: -errno.
long number_descriptors(const int* numbers, int count, int* kept) noexcept;

inline constexpr int kMostNumbered = 8;

}  // namespace sbx::child
