// SPDX-License-Identifier: Apache-2.0
#include "host/names.hpp"

#include <algorithm>
#include <cstddef>

namespace sbx::detail {
namespace {

// Not std::isalpha and the like: they go by the program's locale.
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; }

bool is_name(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), is_word);
}

}  // namespace

bool is_user_name(std::string_view text) {
  return is_name(text, 32) && (is_letter(text[0]) || text[0] == '_');
}

bool is_hostname(std::string_view text) {
  return is_name(text, 64) && (is_letter(text[0]) || is_digit(text[0]));
}

bool is_distro_name(std::string_view text) { return is_hostname(text); }

bool is_variable_name(std::string_view text) {
  const auto allowed = [](char c) { return c > ' ' && c < '\x7f' && c != '='; };
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace sbx::detail
