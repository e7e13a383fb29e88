// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sbx::detail {

/// Where a TOML text writes the dot after part `most_parts` of a key such as a.b.c; none where no
/// key is longer. In a wrong text, what comes after the first fault is not to be relied on.
///
/// toml++ bounds how deep values nest, but not how deep the tables that such a key makes, and it
/// destroys them by recursion: a key of some 100,000 parts would overflow the stack.
std::optional<std::size_t> find_long_key(std::string_view text, unsigned most_parts);

}  // namespace sbx::detail
