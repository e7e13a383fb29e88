// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sbx/fd.hpp"

namespace tools {

/// Opens /dev/null on those of the descriptors 0 to 2 that are closed, so that nothing else gets
/// their numbers.
void fill_standard_descriptors();

/// For a program that goes on alone: its input is /dev/null, and so is its output, unless that is a
/// file. A pipe or terminal would keep somebody waiting for its end.
void detach_standard_descriptors();

/// Opens where a report goes: "fd:N", a descriptor that is open already, or a file, which is made
/// or truncated but never reached through a symbolic link. Throws SystemError or
/// std::invalid_argument.
sbx::UniqueFd open_report(const std::string& where);

/// Writes all of `text`. Throws SystemError: "cannot write WHAT".
void write_all(int fd, const std::string& text, const std::string& what);

}  // namespace tools
