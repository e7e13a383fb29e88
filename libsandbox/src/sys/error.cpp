// SPDX-License-Identifier: Apache-2.0
#include "sys/error.hpp"

#include <fmt/format.h>

namespace sbx {

SystemError::SystemError(int errno_value, const std::string& attempt, const std::string& cure)
    : std::system_error(errno_value, std::system_category()),
      text_(fmt::format("{}: {}{}{}", attempt, code().message(), cure.empty() ? "" : "; ", cure)) {}

SystemError::~SystemError() = default;
ExecError::~ExecError() = default;

}  // namespace sbx
