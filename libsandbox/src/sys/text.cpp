// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstddef>

#include "sys/error.hpp"

namespace sbx::detail {

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
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += text[i];
    }
  }
  return shown;
}

}  // namespace sbx::detail
