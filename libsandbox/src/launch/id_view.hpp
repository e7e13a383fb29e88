// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/identity.hpp"

namespace sbx::detail {

/// How the ids of a file system are shown inside.
enum class IdView {
  kSame,     ///< the sandbox's own numbers
  kSwapped,  ///< the same, but what is root's belongs to the program's user, and the other way
             ///< round
  kOwner,    ///< the owner of the tree becomes the program's user; nobody else has a number
};

/// A detached tree whose ids are shown through a map, once the sandbox's maps are known.
struct IdMappedTree {
  int fd = -1;
  std::string path{};
  IdView view = IdView::kSame;
  std::uint32_t uid = 0;  ///< for IdView::kOwner
  std::uint32_t gid = 0;
  std::uint64_t attributes = 0;  ///< MOUNT_ATTR_* that it gets in the same stroke
  bool required = false;         ///< a file system that cannot do it is an error
};

/// Gives each tree the attributes and the view of ids that it is to have, in a sandbox whose user
/// namespace is that of process `pid`. Throws SystemError.
void show_ids(const std::vector<IdMappedTree>& trees, const Identity& identity, int pid);

}  // namespace sbx::detail
