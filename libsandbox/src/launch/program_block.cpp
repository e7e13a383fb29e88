// SPDX-License-Identifier: Apache-2.0
#include "launch/program_block.hpp"

#include <linux/filter.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
ProgramBlock::ProgramBlock(const ProgramParts& parts) {
  words_.resize((sizeof(child::Program) + 7) / 8);
  child::Program head{.flags = parts.flags,
                      .umask = parts.umask,
                      .uid = parts.uid,
                      .gid = parts.gid,
                      .capabilities = parts.capabilities,
                      .argv = {},
                      .environment = {},
                      .candidates = {},
                      .groups = {},
                      .limits = {},
                      .guard = {},
                      .filter = {},
                      .inner_fds = {},
                      .rows = parts.terminal_size.rows,
                      .columns = parts.terminal_size.columns};
  words_.push_back(0);  // the slot before argv
  head.argv = add_texts(parts.argv);
  head.environment = add_texts(parts.environment);
  head.candidates = add_texts(parts.candidates);
  head.groups = add(parts.groups.data(), sizeof parts.groups[0], parts.groups.size());
  head.limits = add(parts.limits.data(), sizeof parts.limits[0], parts.limits.size());
  head.guard = add(parts.guard.data(), sizeof(sock_filter), parts.guard.size());
  head.filter = add(parts.filter.data(), sizeof(sock_filter), parts.filter.size());
  head.inner_fds = add(parts.inner_fds.data(), sizeof parts.inner_fds[0], parts.inner_fds.size());
  if (!parts.workdir.empty()) head.workdir = add_text(parts.workdir);
  if (!parts.home.empty()) head.home = add_text(parts.home);
  head.size = static_cast<std::uint32_t>(words_.size() * 8);
  std::memcpy(words_.data(), &head, sizeof head);
}

child::Table ProgramBlock::add(const void* elements, std::size_t size, std::size_t count) {
  const auto offset = static_cast<std::uint32_t>(words_.size() * 8);
  words_.resize(words_.size() + (size * count + 7) / 8);
  if (count > 0)
    std::memcpy(reinterpret_cast<char*>(words_.data()) + offset, elements, size * count);
  return {.offset = offset, .count = static_cast<std::uint32_t>(count)};
}

std::uint32_t ProgramBlock::add_text(const std::string& text) {
  return add(text.c_str(), 1, text.size() + 1).offset;
}

child::Table ProgramBlock::add_texts(const std::vector<std::string>& texts) {
  const std::size_t slots = words_.size();
  words_.resize(slots + texts.size() + 1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::uint32_t offset = add_text(texts[i]);
    words_[slots + i] = offset;
  }
  return {.offset = static_cast<std::uint32_t>(slots * 8),
          .count = static_cast<std::uint32_t>(texts.size())};
}

child::Program* ProgramBlock::relocated() {
  auto* program = reinterpret_cast<child::Program*>(words_.data());
  child::relocate(program);
  return program;
}

UniqueFd ProgramBlock::to_file() const {
  UniqueFd file(static_cast<int>(
      check(raw::memfd_create("sbx-program", MFD_CLOEXEC), "cannot make a memory file")));
  const char* rest = reinterpret_cast<const char*>(words_.data());
  std::size_t size = words_.size() * 8;
  while (size > 0) {
    const long written = check(raw::write(file.get(), rest, size), "cannot fill a memory file");
    rest += written;
    size -= static_cast<std::size_t>(written);
  }
  return file;
}

}  // namespace sbx::detail
