// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "launch/child/setup.hpp"

namespace sbx::child {

/// The directory that the last step made something in: the next one often makes its neighbour.
struct LastDirectory {
  const char* path = nullptr;  // not ended by a NUL
  std::size_t size = 0;
  int fd = -1;
};

/// Where the steps work.
struct Tree {
  int root = -1;   // the mount that becomes "/"
  int layer = -1;  // the directory of the writable layer
  int empty = -1;  // what hides directories, once there is one
  bool user_namespace = false;
  std::uint32_t layer_uid = Step::kLeave;  // whose the parts of the layer are
  std::uint32_t layer_gid = Step::kLeave;
  LastDirectory last{};
  int hidden = 0;       // mounts over the old root, the new one among them
  bool absent = false;  // the last step failed because what it is about is not there
};

/// Takes one step. 0 or -errno.
long take_step(Tree& tree, const Step& step) noexcept;

/// A descriptor of the mount of `source`, detached: a tree's own one. -errno when it is not what it
/// was.
long open_source(const Source& source) noexcept;

/// Sets MOUNT_ATTR_* on a tree of mounts, and parts it from its peers: where the caller's mounts
/// are shared, as systemd has them all, what is mounted on a copy would appear on the host.
long set_attributes(int mount, std::uint64_t attributes) noexcept;

/// Mounts a new file system, detached.
long new_filesystem(const char* type, const Option* options, std::size_t count,
                    std::uint64_t attributes) noexcept;

/// Mounts `mount` over the old root, where nothing but its descriptor reaches it. The kernel takes
/// only mounts of the own namespace as layers. Each has to be detached after the change of root.
long attach_hidden(Tree& tree, int mount) noexcept;

/// An overlay of the layer's part `name` over the mount `lower`, detached.
long new_overlay(const Tree& tree, int lower, const char* name) noexcept;

}  // namespace sbx::child
