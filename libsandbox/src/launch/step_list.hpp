// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <filesystem>
#include <initializer_list>
#include <memory>
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

/// A list of steps and the texts that they point to. Paths inside are absolute when given, and kept
/// without the leading slash.
class StepList {
 public:
  /// Whose the files are that come without an owner: at first those of the child that makes them.
  void own_by(Owner owner) { owner_ = owner; }

  /// A directory, with those above it that this list has not made yet.
  void directory(const std::filesystem::path& path, std::uint32_t mode = 0755,
                 std::optional<Owner> owner = {});
  void file(const std::filesystem::path& path, std::string contents,
            std::optional<Owner> owner = {});
  void symlink(const std::filesystem::path& path, const std::string& leads_to);
  void filesystem(const char* type, const std::filesystem::path& path, std::uint64_t attributes,
                  std::vector<std::pair<std::string, std::string>> options = {});
  void device(const std::filesystem::path& path, const char* outside, std::uint64_t number);
  void inside(const std::filesystem::path& from, const std::filesystem::path& path,
              std::uint64_t attributes);

  /// Any other step; its texts must outlive the list or come from keep().
  child::Step& add(child::StepKind kind, const std::filesystem::path& path);

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
  std::set<std::string> made_;  // directories
};

}  // namespace sbx::detail
