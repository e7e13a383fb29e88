// SPDX-License-Identifier: Apache-2.0
#include "common/stdio.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>
#include <string_view>

#include "sys/error.hpp"
#include "sys/number.hpp"

namespace tools {

constexpr int kHighestFd = 65535;

using sbx::UniqueFd;
using sbx::detail::printable;
using sbx::detail::throw_errno;

void fill_standard_descriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0) throw_errno("cannot open '/dev/null'");
    if (fd <= 2) continue;
    ::close(fd);
    return;
  }
}

void detach_standard_descriptors() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw_errno("cannot open '/dev/null'");
  for (const int fd : {0, 1, 2}) {
    struct stat status {};
    const int known = fd == 0 ? 0 : ::fstat(fd, &status);
    if (known < 0) throw_errno("cannot look at descriptor {}", fd);
    const bool file = fd != 0 && S_ISREG(status.st_mode);
    if (!file && ::dup2(null.get(), fd) < 0) throw_errno("cannot detach descriptor {}", fd);
  }
}

UniqueFd open_report(const std::string& where) {
  // Links, but the caller's own: they lead to his descriptors.
  const std::string_view place = where == "/dev/stdout"   ? "fd:1"
                                 : where == "/dev/stderr" ? "fd:2"
                                                          : std::string_view(where);
  constexpr std::string_view kDescriptor = "fd:";
  if (place.starts_with(kDescriptor)) {
    const auto number = sbx::detail::parse_unsigned(place.substr(kDescriptor.size()), kHighestFd);
    if (!number) {
      throw std::invalid_argument(
          fmt::format("cannot write the report to '{}': that is not fd:N", printable(where)));
    }
    UniqueFd copy(::fcntl(static_cast<int>(*number), F_DUPFD_CLOEXEC, 3));
    const int flags = copy ? ::fcntl(copy.get(), F_GETFL) : -1;
    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
      throw sbx::SystemError(EBADF, fmt::format("cannot write the report to '{}'", where),
                             "it is open for reading alone");
    }
    if (flags < 0) throw_errno("cannot write the report to '{}'", where);
    return copy;
  }
  UniqueFd file(::open(where.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0666));
  if (!file) throw_errno("cannot write the report to '{}'", printable(where));
  return file;
}

void write_all(int fd, const std::string& text, const std::string& what) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("cannot write {}", what);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace tools
