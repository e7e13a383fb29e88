// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace sbx::test {

/// A new, empty directory below TMPDIR or /tmp, removed with all that it holds on destruction. Does
/// not follow symbolic links out of it, nor go into what is mounted on it.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  TempDir(TempDir&&) = delete;
  TempDir& operator=(TempDir&&) = delete;
  ~TempDir();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sbx::test
