// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sbx::detail {

/// The one of `known` that somebody who wrote `word` may have meant: at most two letters are
/// missing, wrong or too many. Empty where there is none.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace sbx::detail
