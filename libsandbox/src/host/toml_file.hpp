// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "host/toml.hpp"

namespace sbx::detail {

/// The whole of the file at `path`, which is called `what`. Throws SystemError, EFBIG for more than
/// 1 MiB.
std::string read_text_file(const std::string& path, std::string_view what);

/// What `text` says. Throws std::invalid_argument with the place in `path` where it is not TOML.
toml::table parse_toml(std::string_view text, const std::string& path);

}  // namespace sbx::detail
