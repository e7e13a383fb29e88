// SPDX-License-Identifier: Apache-2.0
#include "host/long_key.hpp"

#include <algorithm>

namespace sbx::detail {
namespace {

/// The offset after the string whose first quote is at `start`. One of a single line that lacks its
/// last quote ends with the line.
std::size_t end_of_string(std::string_view text, std::size_t start) {
  const char quote = text[start];
  const std::string_view three = quote == '"' ? R"(""")" : "'''";
  const bool many_lines = text.substr(start, 3) == three;
  for (std::size_t i = start + (many_lines ? 3 : 1); i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (many_lines && text.substr(i, 3) == three) {
      // One or two more are the string's own.
      return std::min(text.find_first_not_of(quote, i), text.size());
    } else if (!many_lines && (text[i] == quote || text[i] == '\n')) {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

std::optional<std::size_t> find_long_key(std::string_view text, unsigned most_parts) {
  constexpr std::string_view kNotInKey = "=,[]{}\n";
  unsigned dots = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = end_of_string(text, i);
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else {
      if (kNotInKey.find(c) != std::string_view::npos) dots = 0;
      if (c == '.' && ++dots >= most_parts) return i;
      ++i;
    }
  }
  return std::nullopt;
}

}  // namespace sbx::detail
