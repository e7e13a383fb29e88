// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include "launch/child/program.hpp"
#include "sys/raw.hpp"

namespace sbx::child {

/// A Program that came in a file, mapped for as long as this object lives. None when the file is
/// not whole.
class Block {
 public:
  explicit Block(int fd) noexcept {
    struct stat status {};
    if (raw::fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) return;
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size < sizeof(Program) || size > kLargest) return;
    memory_ = raw::mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    size_ = size;
    auto* program = static_cast<Program*>(memory_);
    if (memory_ != nullptr && is_whole(program, size)) program_ = program;
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Block(Block&&) = delete;
  Block& operator=(Block&&) = delete;
  ~Block() { raw::munmap(memory_, size_); }

  [[nodiscard]] Program* program() const noexcept { return program_; }

 private:
  static constexpr std::size_t kLargest = std::size_t{16} << 20;

  void* memory_ = nullptr;
  std::size_t size_ = 0;
  Program* program_ = nullptr;
};

}  // namespace sbx::child
