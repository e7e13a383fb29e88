// SPDX-License-Identifier: Apache-2.0
//
// Where the hierarchies of control groups are mounted, and where in them a process is.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/cgroup.hpp"

namespace sbx::detail {

/// One mounted hierarchy.
struct CgroupHierarchy {
  bool unified = false;                  ///< version 2
  std::vector<std::string> controllers;  ///< of version 1, as it names them
  std::filesystem::path mount;
  std::filesystem::path own;  ///< the directory of the process's group

  [[nodiscard]] bool has(std::string_view controller) const;
};

/// All hierarchies that a process can reach, and its place in each.
class CgroupTree {
 public:
  /// That of process `pid`, in the mounts of the caller. `proc`: where /proc is.
  static CgroupTree of(const std::string& pid, const std::filesystem::path& proc = "/proc");

  /// That of the calling process; above the leaf kCallersLeaf, if that is where it is.
  static CgroupTree of_caller();

  /// That of version 2; null where it is not mounted.
  [[nodiscard]] const CgroupHierarchy* unified() const;

  /// The one that has `controller`. Throws SystemError where none has it.
  [[nodiscard]] const CgroupHierarchy& with(Controller controller) const;

  /// What the process's group in `hierarchy`, one of these, has.
  [[nodiscard]] static std::vector<Controller> controllers_in(const CgroupHierarchy& hierarchy);

  [[nodiscard]] const std::vector<CgroupHierarchy>& hierarchies() const { return hierarchies_; }

  /// The same, as if that of version 2 were not mounted.
  [[nodiscard]] CgroupTree without_unified() const;

  /// The same, with `own` as the process's group in the hierarchy of version 2.
  [[nodiscard]] CgroupTree below(const std::filesystem::path& own) const;

 private:
  std::vector<CgroupHierarchy> hierarchies_;
};

/// The leaf that the caller moves into where he, or what is beside him, is in the way of groups
/// below his own.
inline constexpr const char* kCallersLeaf = "sbx-leaf";

}  // namespace sbx::detail
