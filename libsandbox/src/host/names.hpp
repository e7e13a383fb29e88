// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace sbx::detail {

// What may be called how. Names become parts of paths, so that none is "..", or holds a slash.

/// As in /etc/passwd: a letter or '_', then at most 31 of these, digits, '-' and '.'.
bool is_user_name(std::string_view text);

/// A letter or digit, then at most 63 of these, '.', '_' and '-'.
bool is_hostname(std::string_view text);

/// As a hostname.
bool is_distro_name(std::string_view text);

/// Of an environment variable: visible ASCII without '='.
bool is_variable_name(std::string_view text);

}  // namespace sbx::detail
