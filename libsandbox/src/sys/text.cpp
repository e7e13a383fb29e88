// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstddef>

#include "sys/error.hpp"

namespace sbx::detail {

namespace {

unsigned char byte_at(const std::string& text, std::size_t index) {
  return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
}

/// Whether a terminal may obey it: U+0080 to U+009F, two bytes in UTF-8, as well as ASCII's.
bool is_control(const std::string& text, std::size_t index) {
  const auto is_second = [&](std::size_t at) {
    return byte_at(text, at) >= 0x80 && byte_at(text, at) < 0xa0;
  };
  const unsigned char byte = byte_at(text, index);
  if (byte == 0xc2) return is_second(index + 1);
  if (index > 0 && byte_at(text, index - 1) == 0xc2) return is_second(index);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string printable(const std::string& text) {
  constexpr std::size_t kLongest = 200;
  constexpr std::size_t kKept = 60;
  std::string shown;
  const bool shorten = text.size() > kLongest;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (shorten && i == kKept) {
      shown += fmt::format("...({} bytes)...", text.size());
      i = text.size() - kKept;
    }
    if (is_control(text, i)) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else {
      shown += text[i];
    }
  }
  return shown;
}

}  // namespace sbx::detail
