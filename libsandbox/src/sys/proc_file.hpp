// SPDX-License-Identifier: Apache-2.0
//
// The small files below /proc and /sys through which the kernel shows and takes settings.
#pragma once

#include <string>
#include <string_view>

namespace sbx::detail {

/// The whole of the file at `path`.
std::string read_file(const std::string& path);

/// Hands `text` to the file at `path`, which must exist, in one write(2): what such a file means by
/// a second one is for each to say.
void write_file(const std::string& path, std::string_view text);

}  // namespace sbx::detail
