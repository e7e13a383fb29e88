// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"

namespace sbx {

/// A compiled seccomp filter: a program of classic BPF that the kernel runs before every system
/// call. A cheap value: copies share the program. See seccomp(2), and docs/seccomp.md for what each
/// profile refuses and how.
class SBX_API SeccompFilter {
 public:
  /// No filter at all.
  static SeccompFilter none();

  /// Refuses what container engines refuse by default: EPERM for what is refused on purpose, ENOSYS
  /// for what is unknown, so that programs fall back; a foreign ABI ends the process.
  static SeccompFilter default_profile();

  /// For a computation that reads, writes and allocates memory: no sockets, no new processes, no
  /// ptrace. A filter cannot tell the execve that starts the program from a later one, so the
  /// program may still replace itself by another, under the same filter.
  static SeccompFilter strict_profile();

  /// Refuses to make set-user-id and set-group-id files, and nothing else. The built-in profiles
  /// hold it; a sandbox adds it to any other filter where files made inside are somebody's outside.
  static SeccompFilter no_set_id();

  /// The profile called `name`: "default", "strict" or "none". Throws std::invalid_argument.
  static SeccompFilter profile(std::string_view name);

  /// A profile read from a JSON file in the format that container engines use
  /// (defaultAction, syscalls[].names, action, args, errnoRet). Throws std::invalid_argument with
  /// file, line and column, or SystemError when it cannot be read.
  static SeccompFilter from_file(const std::filesystem::path& path);

  /// The instructions, for seccomp(2) or a file; none for none().
  [[nodiscard]] const sock_filter* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Puts the calling thread, and only it, under the filter for good. Needs no_new_privs or
  /// CAP_SYS_ADMIN: EACCES otherwise.
  void load() const;

 private:
  SeccompFilter() noexcept = default;
  SeccompFilter(const sock_filter* data, std::size_t size) noexcept : data_(data), size_(size) {}

  std::shared_ptr<const std::vector<sock_filter>> owned_;
  const sock_filter* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sbx
