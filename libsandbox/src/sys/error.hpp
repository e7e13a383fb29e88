// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <utility>

#include "sbx/error.hpp"

namespace sbx::detail {

/// Throws SystemError for the errno of the call that has just failed. errno is read before the
/// message is made, because formatting may overwrite it.
template <typename... Args>
[[noreturn]] void throw_errno(fmt::format_string<Args...> attempt, Args&&... args) {
  const int errno_value = errno;
  throw SystemError(errno_value, fmt::format(attempt, std::forward<Args>(args)...));
}

/// For the raw calls, which return -errno: passes a result that is not an error on.
template <typename... Args>
long check(long result, fmt::format_string<Args...> attempt, Args&&... args) {
  if (result >= 0) return result;
  throw SystemError(static_cast<int>(-result), fmt::format(attempt, std::forward<Args>(args)...));
}

/// `text` as it may stand in a one-line message: UTF-8, with control characters and whatever else
/// it holds escaped, and the middle of anything longer than a screen's line left out.
std::string printable(const std::string& text);

}  // namespace sbx::detail
