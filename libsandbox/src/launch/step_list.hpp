// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launch/child/setup.hpp"

namespace sbx::detail {

/// Who owns a file that a step makes.
struct Owner {
  std::uint32_t uid = child::Step::kLeave;
  std::uint32_t gid = child::Step::kLeave;
};

/// `path` without ".", "..", double slashes and a slash at the end.
inline std::filesystem::path normal(const std::filesystem::path& path) {
  const std::filesystem::path text = path.lexically_normal();
  return text.has_filename() ? text : text.parent_path();
}

/// A list of steps and the texts that they point to. Paths inside are absolute and normal when
/// given, and kept without the leading slash.
class StepList {
 public:
  StepList() { steps_.reserve(128); }  // as many as a root from the host takes

  /// Whose the files are that come without an owner: at first those of the child that makes them.
  void own_by(Owner owner) { owner_ = owner; }

  /// How far the targets of the steps from now on can be trusted.
  void reach_by(child::Reach reach) { reach_ = reach; }

  /// A directory, with those above it that this list has not made yet.
  void directory(const std::string& path, std::uint32_t mode = 0755,
                 std::optional<Owner> owner = {});
  void file(const std::string& path, std::string contents);
  void symlink(const std::string& path, const std::string& leads_to);
  void filesystem(const char* type, const std::string& path, std::uint64_t attributes,
                  std::vector<std::pair<std::string, std::string>> options = {});
  void device(const std::string& path, const char* outside, std::uint64_t number);
  void inside(const std::string& from, const std::string& path, std::uint64_t attributes);

  /// Any other step; its texts must outlive the list or come from keep().
  child::Step& add(child::StepKind kind, const std::string& path);

  /// The step that was added last.
  child::Step& last() { return steps_.back(); }

  /// A copy of `text` that lives as long as the list.
  const char* keep(std::string text);

  /// Options for fsconfig(2) that live as long as the list.
  const std::vector<child::Option>& keep_options(
      const std::vector<std::pair<std::string, std::string>>& options);

  [[nodiscard]] const std::vector<child::Step>& steps() const { return steps_; }

 private:
  std::vector<child::Step> steps_;
  std::deque<std::string> texts_;
  std::deque<std::vector<child::Option>> options_;
  Owner owner_;
  child::Reach reach_ = child::Reach::kNoLinks;
  std::set<std::string, std::less<>> made_;  // directories
};

}  // namespace sbx::detail
