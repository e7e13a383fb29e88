// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/child/program.hpp"
#include "sbx/fd.hpp"
#include "sbx/seccomp.hpp"
#include "sbx/terminal.hpp"

namespace sbx::detail {

/// What a child::Program is made from.
struct ProgramParts {
  std::uint32_t flags = 0;
  std::uint32_t umask = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t capabilities = 0;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<std::string> candidates;
  std::vector<std::uint32_t> groups;
  std::vector<child::Limit> limits;
  SeccompFilter guard = SeccompFilter::none();
  SeccompFilter filter = SeccompFilter::none();
  std::vector<std::int32_t> inner_fds;
  std::string workdir;
  std::string home;
  TerminalSize terminal_size{.rows = 0, .columns = 0};
};

/// A child::Program, laid out in one block.
class ProgramBlock {
 public:
  ProgramBlock() = default;
  explicit ProgramBlock(const ProgramParts& parts);

  /// The block itself, relocated: for a child that shares this memory.
  [[nodiscard]] child::Program* relocated();

  /// A memory file with the block: for the init. Throws SystemError.
  [[nodiscard]] UniqueFd to_file() const;

 private:
  child::Table add(const void* elements, std::size_t size, std::size_t count);
  child::Table add_texts(const std::vector<std::string>& texts);
  std::uint32_t add_text(const std::string& text);

  std::vector<std::uint64_t> words_;  // 64-bit units, so that everything in it is aligned
};

}  // namespace sbx::detail
