// SPDX-License-Identifier: Apache-2.0
//
// The set-up of a sandbox from the inside: what a new child does to its own namespaces before any
// foreign code runs in them. The launcher prepares it; all pointers lead into its memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "launch/child/failure.hpp"
#include "launch/child/program.hpp"

namespace sbx::child {

/// A key and value of fsconfig(2); without a value it sets a flag.
struct Option {
  const char* key;
  const char* value;
};

/// Something outside that is mounted inside: a detached tree, or, where the caller may not make
/// one, a path free of symbolic links, which must still lead to the same inode.
struct Source {
  int tree = -1;
  const char* path = nullptr;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  explicit operator bool() const noexcept { return tree >= 0 || path != nullptr; }
};

enum class StepKind : std::uint8_t {
  kDirectory,   // make `target`
  kFile,        // make `target` with the `size` bytes at `text`
  kSymlink,     // make `target`, leading to `text`
  kFilesystem,  // mount a new file system of type `text` with `options`
  kBind,        // mount `source`
  kDevice,      // make `target` and mount the device `text`, number source.device, on it
  kInside,      // mount what `text` is inside
  kOverlay,     // cover `target` with a writable view of it; its part of the layer is called `text`
  kMask,        // cover `target`, a file or directory, with an empty one
  kReadOnly,    // make the tree from `target` on read-only
  kSysctl,      // write `text` to `target`, a file below the sandbox's own /proc/sys
};

/// How far the way to a target can be trusted.
enum class Reach : std::uint8_t {
  kOwn,      // nobody but the child has made anything on it: it is taken as it is
  kNoLinks,  // somebody else may have, and a symbolic link on it is refused
  kInRoot,   // somebody else may have; symbolic links are resolved inside the root
};

/// One change of the mount tree. Paths inside are relative to the root, without a leading slash.
struct Step {
  static constexpr std::uint32_t kLeave = ~0U;

  StepKind kind = StepKind::kDirectory;
  bool optional = false;  // fine when the kernel or the root does not have it
  Reach reach = Reach::kNoLinks;
  const char* target = "";
  const char* text = "";
  std::size_t size = 0;
  const Option* options = nullptr;
  std::size_t option_count = 0;
  Source source;
  std::uint64_t attributes = 0;  // MOUNT_ATTR_* to set
  std::uint32_t mode = 0755;
  std::uint32_t uid = kLeave;
  std::uint32_t gid = kLeave;
};

enum class Layer : std::uint8_t { kNone, kMemory, kDirectory };

struct Setup {
  Source root;  // none: a new tmpfs
  const Option* tmpfs_options = nullptr;
  std::size_t tmpfs_option_count = 0;
  bool root_read_only = true;
  std::uint64_t root_attributes = 0;  // MOUNT_ATTR_* of the root, besides

  Layer layer = Layer::kNone;  // the writable layer: where kOverlay steps write to
  Source layer_source;         // for Layer::kDirectory
  bool layer_covers_root = false;
  std::uint32_t layer_uid = Step::kLeave;  // whose its parts are: root's outside
  std::uint32_t layer_gid = Step::kLeave;

  const Step* skeleton = nullptr;  // made in the root before the layer covers it
  std::size_t skeleton_count = 0;
  const Step* steps = nullptr;
  std::size_t step_count = 0;

  // CLONE_NEW*: those that the child makes before it waits, and after.
  std::uint64_t namespaces = 0;
  std::uint64_t last_namespaces = 0;
  const int* entrances = nullptr;  // of control groups: "0" written there is the way in
  std::size_t entrance_count = 0;
  const char* hostname = nullptr;
  bool loopback = false;      // bring it up
  bool open_network = false;  // give the caller a socket to connect the network by
  bool change_user = false;   // be `uid` and `gid` of the new user namespace during the set-up
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool clear_groups = false;
  bool user_namespace = false;
  int dumpable = 1;  // the caller's flag, to be put back after each change of identity
  int caller_pidfd = -1;
  int sync_fd = -1;         // a byte comes when all of this is there, and the id maps are written
  int caller_sync_fd = -1;  // the other end, which the child closes

  // What comes after: the init, or else the program itself.
  int init_image = -1;
  int control_fd = -1;
  int listen_fd = -1;  // -1: the init listens nowhere
  std::uint64_t init_capabilities = 0;
  const char* init_cpu_limit = nullptr;  // microseconds in decimal; null: none
  Program* program = nullptr;
  const int* passed_fds = nullptr;
};

/// The init's descriptors.
inline constexpr int kControlFd = 3;
inline constexpr int kListenFd = 4;

/// What a child has in common with its caller until it executes, besides all other memory. The
/// descriptors are one table, too, until the byte has come. Of the Setup only the entrances, the
/// namespaces, the hostname and what is about the caller are read before.
struct Start {
  const Setup* setup = nullptr;
  Failure failure{};
  // The kernel clears it, and wakes who waits, when the child gives the shared memory up: when it
  // executes or ends (CLONE_CHILD_CLEARTID).
  std::uint32_t sharing = 1;
  // With Setup::open_network, and once a byte has come over the caller's end of the synchronisation
  // socket: one of NETLINK_ROUTE in the child's network namespace, the caller's to close; -1 for
  // none.
  std::int32_t network_socket = -1;
};

/// A child from its first instruction on; `start` is a Start. Runs the whole set-up and then the
/// init or the program; leaves what failed in the Start and ends.
void run(void* start) noexcept;

}  // namespace sbx::child
