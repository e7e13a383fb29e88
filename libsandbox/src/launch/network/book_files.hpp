// SPDX-License-Identifier: Apache-2.0
//
// Small files in directories that are the caller's alone, each of them whole at any time: whoever
// writes may be killed. All throw SystemError.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "sbx/fd.hpp"

namespace sbx::detail {

/// The path as it is told from others: absolute, without "..", and without a slash at its end.
std::string normal_path(const std::filesystem::path& path);

/// Opens a directory that is the caller's and that nobody else may write to. Makes it, and those
/// above it, where there is none.
UniqueFd own_top(const std::string& normal_path);

/// Makes one, where there is none.
void make_directory(int parent, const std::string& name);

/// One below a directory that is the caller's, where nobody else can have made it.
UniqueFd directory_below(const UniqueFd& top, const std::string& path);

/// The same, locked; whoever had the lock before may have tidied it away.
UniqueFd lock_directory(const UniqueFd& top, const std::string& path);

/// Keeps others away who ask for the same, as long as it lives; the directory has to live longer.
class DirectoryLock {
 public:
  explicit DirectoryLock(const UniqueFd& directory);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

 private:
  const UniqueFd& directory_;
};

/// None when the file is not there. What is short enough may be in a symbolic link instead.
std::optional<std::string> read_file(const UniqueFd& directory, const std::string& name);

/// One that is not there. In a symbolic link, as far as its text fits into one: that is there at
/// once, and in a third of the time.
void create_file(const UniqueFd& directory, const std::string& name, const std::string& text);

/// The file is the old one, or the whole new one.
void write_file(const UniqueFd& directory, const std::string& name, const std::string& text);

/// It may be missing.
void remove_file(const UniqueFd& directory, const std::string& name);

/// Removes what somebody who was killed has left of a file that he was writing.
void remove_unfinished(const UniqueFd& directory, const std::string& name) noexcept;

bool has_file(const UniqueFd& directory, const std::string& name);

/// What the symbolic link leads to; empty when there is none.
std::string read_link(const UniqueFd& directory, const std::string& name);

/// Passes the names of files in a directory on, until `each` says false; whether it did.
bool walk(const UniqueFd& top, const std::string& directory,
          const std::function<bool(const std::string&)>& each);

/// Where the file is, for messages.
std::string place_of(int directory, const std::string& name);

/// For the errno of the call that has just failed: "cannot VERB 'FILE'".
[[noreturn]] void throw_failed(const char* verb, int directory, const std::string& name);

}  // namespace sbx::detail
