// SPDX-License-Identifier: Apache-2.0
//
// What a Cgroup is made of, and how it is made anywhere in a tree.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/cgroup_directory.hpp"
#include "kernel/cgroup_tree.hpp"
#include "sbx/cgroup.hpp"

namespace sbx::detail {

/// A group's directory in one hierarchy, and what that is for.
struct CgroupPart {
  CgroupDirectory directory;
  std::optional<CgroupDirectory> parent;  ///< for a group that is owned
  std::vector<Controller> controllers;
  std::vector<std::string> names;  ///< all controllers of a hierarchy of version 1
  bool freezer = false;            ///< version 1's: for hosts that have not mounted version 2

  [[nodiscard]] bool has(Controller controller) const;
};

/// Makes groups anywhere in a tree.
struct CgroupMaker {
  /// As Cgroup::create, below the group that `tree` says is the caller's.
  static Cgroup create(const CgroupTree& tree, const std::string& name,
                       const std::vector<Controller>& controllers);

  /// The same with a name that no other group has, and a lock for as long as the handle lives,
  /// which tells others that it is no leftover. Removes before what makers that were killed have
  /// left.
  static Cgroup create_unnamed(const CgroupTree& tree, const std::vector<Controller>& controllers);

  /// That which create_unnamed() made and the process of `tree` is in, or below; not owned. None
  /// where it is in none.
  static std::optional<Cgroup> find_unnamed(const CgroupTree& tree);

  /// Has `keeper` live as long as the group's handle.
  static void keep(Cgroup& group, std::shared_ptr<const void> keeper) {
    group.keeper_ = std::move(keeper);
  }

  static const std::vector<CgroupPart>& parts(const Cgroup& group) { return group.parts_; }

 private:
  static void add_parts(Cgroup& group, const CgroupTree& tree, const std::string& name,
                        const std::vector<Controller>& controllers, bool locked);
};

}  // namespace sbx::detail
