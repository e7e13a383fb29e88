// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kLongest = 200;
constexpr std::size_t kKept = 60;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

/// The size of the character of UTF-8 that `text` starts with; 0 when there is none, or one that
/// terminals take for a command: U+0000 to U+001F and U+007F to U+009F.
std::size_t shown_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (text.size() < size) return 0;
  unsigned code = first & (0xffU >> (size + 1));
  for (const char c : text.substr(1, size - 1)) {
    if (!continues_character(c)) return 0;
    code = code << 6U | (static_cast<unsigned char>(c) & 0x3fU);
  }
  constexpr unsigned kFirstOfSize[] = {0, 0, 0xa0, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool well =
      first >= 0xc2 && first <= 0xf4 && code >= kFirstOfSize[size] && code <= 0x10ffff;
  return well && !surrogate ? size : 0;
}

void append_shown(std::string& shown, std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = shown_size(text);
    if (size > 0) {
      shown += text.substr(0, size);
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

}  // namespace

std::string printable(const std::string& text) {
  std::string shown;
  if (text.size() <= kLongest) {
    append_shown(shown, text);
    return shown;
  }
  // A character of UTF-8 has at most three bytes after its first.
  std::size_t head = kKept;
  while (head > kKept - 3 && continues_character(text[head])) --head;
  std::size_t tail = text.size() - kKept;
  while (tail < text.size() - kKept + 3 && continues_character(text[tail])) ++tail;
  const std::string_view whole = text;
  append_shown(shown, whole.substr(0, head));
  shown += fmt::format("...({} bytes)...", text.size());
  append_shown(shown, whole.substr(tail));
  return shown;
}

}  // namespace sbx::detail
