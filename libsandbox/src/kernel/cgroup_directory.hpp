// SPDX-License-Identifier: Apache-2.0
//
// A control group in one hierarchy: its directory and the files in it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/cgroup.hpp"
#include "sbx/fd.hpp"
#include "sys/deadline.hpp"

namespace sbx::detail {

/// The leaf for what is in a group that gets groups below.
inline constexpr const char* kOwnLeaf = "main";

class CgroupDirectory {
 public:
  /// One that is there.
  static CgroupDirectory open(const std::filesystem::path& path, bool unified);

  /// Makes the group `name` in this one. Throws SystemError: EEXIST when there is one.
  [[nodiscard]] CgroupDirectory make_child(const std::string& name) const;

  /// The group `name` in this one; none where there is none.
  [[nodiscard]] std::optional<CgroupDirectory> find_child(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> child_names() const;

  /// What the file holds; find() is empty where there is no such file, or none that can be read.
  [[nodiscard]] std::string read(const std::string& file) const;
  [[nodiscard]] std::optional<std::string> find(const std::string& file) const;

  /// Its first line.
  [[nodiscard]] std::string read_line(const std::string& file) const;
  void write(const std::string& file, std::string_view text) const;
  [[nodiscard]] UniqueFd open_file(const std::string& file, int flags) const;
  [[nodiscard]] bool has(const std::string& file) const;

  /// The processes in it; zombies left out.
  [[nodiscard]] std::vector<int> processes() const;

  /// Moves process `pid` into it, or into its leaf where it has only groups below. A process that
  /// is gone by then is no error.
  void add(int pid) const;

  /// Lets the groups below have `controllers`. What is in this group moves into its leaf `leaf` if
  /// the kernel demands it; back again, if that is in vain. For version 2.
  void enable(const std::vector<Controller>& controllers, const std::string& leaf) const;

  /// Whether a process is in it or in a group below.
  [[nodiscard]] bool populated() const;

  /// Waits until none is; false when `deadline` is over.
  [[nodiscard]] bool wait_empty(const Deadline& deadline) const;

  /// Stops or lets go all processes of it and of the groups below; for version 2, and the freezer
  /// of version 1. freeze() returns when they stand still.
  void freeze() const;
  void thaw() const;

  /// Sends SIGKILL to all processes of it and of the groups below. With version 1 those that it
  /// finds now.
  void kill() const;

  /// Removes the groups below, and then the group `name` in this one; one that is gone is no error.
  /// False when a process is still in one of them.
  [[nodiscard]] bool remove_child(const std::string& name) const;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] bool unified() const noexcept { return unified_; }

 private:
  CgroupDirectory(UniqueFd fd, std::filesystem::path path, bool unified)
      : fd_(std::move(fd)), path_(std::move(path)), unified_(unified) {}

  [[nodiscard]] CgroupDirectory find_or_make_child(const std::string& name) const;
  void wait_frozen() const;
  void move_all_to(const CgroupDirectory& leaf) const;
  [[nodiscard]] std::vector<int> all_processes() const;

  UniqueFd fd_;
  std::filesystem::path path_;
  bool unified_ = false;
};

}  // namespace sbx::detail
