// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "sbx/fd.hpp"

namespace sbx::detail {

/// Something of the caller's that is to be seen inside.
struct SourcePath {
  UniqueFd fd;       // O_PATH
  std::string path;  // as the caller wrote it
  std::string real;  // where it is, without symbolic links
  struct stat status {};

  [[nodiscard]] bool is_directory() const { return S_ISDIR(status.st_mode); }
};

/// Opens `path` once, component by component. A symbolic link is followed only where nobody but
/// root and the caller could have put it; another is refused (ELOOP) with its place named. Throws
/// SystemError. `what` is the verb phrase of messages, such as "bind".
SourcePath open_source_path(const std::filesystem::path& path, const char* what);

}  // namespace sbx::detail
