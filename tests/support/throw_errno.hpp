// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace sbx::test {

/// For a call that has failed: throws errno, with what was tried.
[[noreturn]] inline void throw_errno(const std::string& attempt) {
  const int error = errno;
  throw std::system_error(error, std::system_category(), attempt);
}

}  // namespace sbx::test
