// SPDX-License-Identifier: Apache-2.0
//
// What every target holds the code under test to.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sbx::fuzz {

/// Ends the fuzzer, which keeps the input, unless `holds`.
inline void require(bool holds, const char* sentence, std::string_view shown = {}) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", sentence, static_cast<int>(shown.size()),
               shown.data());
  std::abort();
}

/// The length of the UTF-8 character at the start of `text`; 0 when there is none.
inline std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return text.empty() ? 0 : 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  constexpr unsigned kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned code = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool good =
      first >= 0xc2 && first <= 0xf4 && code >= kLeast[size] && code <= 0x10ffff && !surrogate;
  return good ? size : 0;
}

/// One line that a terminal shows as it is, whatever it quotes: UTF-8 without control characters,
/// of a length that somebody reads.
inline void require_message(std::string_view text) {
  constexpr std::size_t kLongest = 2000;
  require(!text.empty(), "a message says something");
  require(text.size() <= kLongest, "a message is bounded", text);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t size = character_size(rest);
    require(size > 0, "a message is UTF-8", text);
    const auto first = static_cast<unsigned char>(rest[0]);
    const bool c1 = size == 2 && first == 0xc2 && static_cast<unsigned char>(rest[1]) < 0xa0;
    require(first >= 0x20 && first != 0x7f && !c1, "a message has no control character", text);
    rest.remove_prefix(size);
  }
}

/// A file in memory, for what takes a path.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    path_ = "/proc/self/fd/" + std::to_string(fd_);
    require(fd_ >= 0, "a memory file can be made");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  MemoryFile(MemoryFile&&) = delete;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile() { ::close(fd_); }

  /// Puts `text` in place of what it holds.
  const std::string& fill(std::string_view text) {
    const auto size = static_cast<ssize_t>(text.size());
    require(::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, text.data(), text.size(), 0) == size,
            "a memory file can be filled");
    return path_;
  }

  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  std::string path_;
};

}  // namespace sbx::fuzz
