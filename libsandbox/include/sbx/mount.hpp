// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx {

/// Attributes of a mount; the values are the MOUNT_ATTR_* flags. See mount_setattr(2).
enum class MountAttribute : std::uint32_t {
  kNone = 0,
  kReadOnly = 0x1,
  kNoSuid = 0x2,
  kNoDev = 0x4,
  kNoExec = 0x8,
  kNoSymlinkFollow = 0x200000,
};

[[nodiscard]] constexpr MountAttribute operator|(MountAttribute a, MountAttribute b) noexcept {
  return static_cast<MountAttribute>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// Whether an operation goes on to the mounts below a mount.
enum class Below : bool { kOnlyThis, kAll };

/// A tmpfs(5). Zero means the kernel's own limit, which is half of the memory.
struct TmpfsOptions {
  std::uint64_t size_bytes = 0;
  std::uint64_t inodes = 0;
  std::uint32_t mode = 0755;
};

/// An overlay of a writable layer over read-only ones. `work` is an empty directory on the file
/// system of `upper`; without `upper` the overlay is read-only. The first of `lower` lies on top.
/// See Documentation/filesystems/overlayfs.rst in the kernel's source.
struct OverlayOptions {
  std::vector<std::filesystem::path> lower{};
  std::filesystem::path upper{};
  std::filesystem::path work{};
};

/// A detached mount: nobody sees it until it is attached somewhere, and it vanishes with this
/// object if it never is. All of it needs CAP_SYS_ADMIN in the user namespace that owns the
/// caller's mount namespace; every failure throws SystemError. See open_tree(2), fsopen(2),
/// move_mount(2).
class SBX_API Mount {
 public:
  /// A copy of what is mounted at `path`, from that directory or file down.
  static Mount clone(const std::filesystem::path& path, Below below = Below::kAll);

  static Mount tmpfs(const TmpfsOptions& options = {});

  /// The processes of the caller's own pid namespace. EPERM in a user namespace whose /proc is
  /// covered in part.
  static Mount proc();

  /// A set of pseudo-terminals of its own, with its own ptmx (mode 0666).
  static Mount devpts();

  static Mount overlay(const OverlayOptions& options);

  void set(MountAttribute attributes, Below below = Below::kOnlyThis) const;
  void clear(MountAttribute attributes, Below below = Below::kOnlyThis) const;

  /// Shows the ids of the file system through the maps of `user_namespace`: a file of the id that
  /// is inside the map belongs, through this mount, to the id outside. Needs CAP_SYS_ADMIN where
  /// the file system was mounted; EINVAL from a file system that cannot do it. Once for each mount.
  void idmap(const Namespace& user_namespace, Below below = Below::kOnlyThis) const;

  /// Makes it visible on `target`, in the caller's mount namespace. It stays when this object goes.
  /// A symbolic link in the place of `target` is not followed.
  void attach(const std::filesystem::path& target) const;

  /// The descriptor of its root, still owned: for openat(2) and its like.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  Mount(UniqueFd fd, std::string name) noexcept : fd_(std::move(fd)), name_(std::move(name)) {}

  UniqueFd fd_;
  std::string name_;  // for messages: what is mounted
};

/// Stops mounts and unmounts from travelling between the caller's mount namespace and others.
SBX_API void make_mounts_private();

/// Makes the mount at `new_root` the root of the caller's mount namespace, detaches the old root
/// and puts the working directory there. See pivot_root(2).
SBX_API void pivot_root(const std::filesystem::path& new_root);

}  // namespace sbx
