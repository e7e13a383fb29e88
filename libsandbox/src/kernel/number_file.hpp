// SPDX-License-Identifier: Apache-2.0
//
// Files of the kernel that hold one number, such as those in /proc/sys and /sys/kernel/mm/ksm.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sys/error.hpp"
#include "sys/number.hpp"
#include "sys/proc_file.hpp"

namespace sbx::detail {

/// The number in the first line of the file at `path`. Throws SystemError: EINVAL when it is none.
inline std::uint64_t read_number(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  const auto number = parse_unsigned(std::string_view(text).substr(0, text.find('\n')));
  if (!number)
    throw SystemError(EINVAL, fmt::format("cannot read a number from '{}'", path.native()));
  return *number;
}

}  // namespace sbx::detail
