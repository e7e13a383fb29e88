// SPDX-License-Identifier: Apache-2.0
#include "sys/proc_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "sbx/fd.hpp"
#include "sys/error.hpp"

namespace sbx::detail {

std::string read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("cannot read '{}'", printable(path));

  // The size that fstat(2) gives for these files is 0 or a page, whatever they hold.
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t size = ::read(fd.get(), part.data(), part.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(part.data(), static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      throw_errno("cannot read '{}'", printable(path));
    }
  }
}

void write_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) throw_errno("cannot write '{}'", printable(path));

  const ssize_t size = ::write(fd.get(), text.data(), text.size());
  if (size < 0) throw_errno("cannot write '{}'", printable(path));
  if (static_cast<std::size_t>(size) != text.size()) {
    throw SystemError(EIO, fmt::format("cannot write '{}' in one piece", printable(path)));
  }
}

}  // namespace sbx::detail
