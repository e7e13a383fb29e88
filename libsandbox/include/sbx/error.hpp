// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <system_error>

#include "sbx/api.hpp"

namespace sbx {

/// A step that the kernel refused. what() is one clause that names the step, the object and the
/// reason, and the cure where one is known: "cannot mount '/srv/a' on '/home': No such file or
/// directory". code() carries the errno (system_category), for callers that branch on it.
class SBX_API SystemError : public std::system_error {
 public:
  /// `attempt` is the clause up to the reason, such as "cannot open '/x'"; `cure` follows the
  /// reason.
  SystemError(int errno_value, const std::string& attempt, const std::string& cure = {});
  ~SystemError() override;

  SystemError(const SystemError&) = default;
  SystemError(SystemError&&) = default;
  SystemError& operator=(const SystemError&) = default;
  SystemError& operator=(SystemError&&) = default;

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// The sandbox was made, but the command could not be run in it: code() is ENOENT when there is no
/// such program, and EACCES, ENOEXEC and the like when it is not executable. See execve(2).
class SBX_API ExecError : public SystemError {
 public:
  using SystemError::SystemError;
  ~ExecError() override;

  ExecError(const ExecError&) = default;
  ExecError(ExecError&&) = default;
  ExecError& operator=(const ExecError&) = default;
  ExecError& operator=(ExecError&&) = default;
};

}  // namespace sbx
