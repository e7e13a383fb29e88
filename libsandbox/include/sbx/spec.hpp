// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/capability.hpp"
#include "sbx/id_map.hpp"
#include "sbx/ipc.hpp"
#include "sbx/limits.hpp"
#include "sbx/network.hpp"
#include "sbx/rlimit.hpp"
#include "sbx/seccomp.hpp"
#include "sbx/terminal.hpp"

// What a sandbox is to be: plain data, given to Sandbox::start. Everything is closed unless a field
// opens it; a Spec with nothing but a command is a safe one.
namespace sbx {

/// Who a program is inside the sandbox.
struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  /// For /etc/passwd. Empty: "root" for 0, the account's for the caller's own id, else "sandbox".
  std::string name{};

  /// For /etc/passwd and HOME. Empty: /root for 0, the account's for the caller's own id, else
  /// /home/NAME.
  std::filesystem::path home{};

  /// Supplementary, in the sandbox's ids. What the caller has stays where the sandbox has no user 0
  /// or the kernel denies it setgroups(2).
  std::vector<std::uint32_t> groups{};

  friend bool operator==(const User&, const User&) = default;
};

/// Hands a descriptor of the caller to the program.
struct PassedFd {
  int outer = -1;  ///< the caller's; stays open there
  int inner = -1;  ///< its number in the program
};

/// One program to run.
struct Command {
  /// The program and its arguments. A name without a slash is looked for, inside the sandbox, in
  /// the directories of the environment's PATH.
  std::vector<std::string> argv{};

  /// The whole environment, "NAME=VALUE" each. PATH, HOME and, on a terminal, TERM are added where
  /// they are missing.
  std::vector<std::string> environment{};

  /// Must exist inside. Empty: the caller's own if it is there inside, else the user's home.
  std::filesystem::path workdir{};

  /// Empty: the sandbox's own user. One with other ids must be covered by the sandbox's id map.
  std::optional<User> user{};

  /// The only descriptors that the program gets. By default the caller's standard three.
  std::vector<PassedFd> fds = {{0, 0}, {1, 1}, {2, 2}};

  /// Puts the program on a new pseudo-terminal of the sandbox's own, as its 0, 1 and 2 (in place of
  /// what `fds` says of these) and as its controlling terminal.
  bool terminal = false;

  /// That terminal's size from the start on; empty: 0 by 0, which is taken for "unknown".
  std::optional<TerminalSize> terminal_size{};

  /// File mode mask; empty: the caller's. See umask(2).
  std::optional<std::uint32_t> umask{};

  /// A share of its own within the sandbox's limits, for it and what it starts: for Sandbox::exec,
  /// and only of what Spec::limits limits, too. What is left in the share ends with the handle.
  Limits limits{};
};

/// What stands at the sandbox's "/".
struct Root {
  enum class Overlay {
    kNone,     ///< the root is read-only
    kDiscard,  ///< a writable layer in memory, thrown away at the end
    kKeep,     ///< a writable layer in `overlay_directory`, kept
  };

  /// The directory that becomes "/". Empty: the host's programs and libraries, read-only, with a
  /// minimal /etc by allow-list, and nothing else of the host.
  std::filesystem::path directory{};

  Overlay overlay = Overlay::kNone;
  std::filesystem::path overlay_directory{};  ///< exists and is the caller's; for Overlay::kKeep
};

/// Shows a file or directory of the caller's inside. `source` is opened once; a symbolic link on
/// the way that somebody else than root or the caller could have put there is refused. What the
/// caller may write he may write through it, and files made there belong to the owner of `source`.
struct Bind {
  std::filesystem::path source{};
  std::filesystem::path target{};  ///< made where the root allows it
  bool read_only = false;
};

/// A private, empty file system in memory.
struct Tmpfs {
  std::filesystem::path target{};
  std::uint64_t size_bytes = 0;  ///< 0: half of the machine's memory
  std::uint64_t inodes = 0;      ///< 0: half as many as the machine has pages
  std::uint32_t mode = 01777;
};

using MountPoint = std::variant<Bind, Tmpfs>;

/// How the sandbox's ids relate to the host's.
struct UserNamespace {
  enum class Mode {
    /// Called by root: 65536 ids that are nobody's outside. By another, or by a root whose own user
    /// namespace lacks such ids: his own id alone, and for a `user` 0 what /etc/subuid and
    /// /etc/subgid give him.
    kAuto,
    kMap,   ///< the maps given here
    kHost,  ///< no user namespace: the host's ids. For root only
  };

  Mode mode = Mode::kAuto;
  IdMap uids{};  ///< for Mode::kMap
  IdMap gids{};  ///< for Mode::kMap
};

/// Who is process 1 inside.
enum class Init {
  kYes,   ///< a tiny init that reaps, forwards signals and starts more programs on request
  kNone,  ///< the program itself: one process less, and what process 1 is held to by the kernel
};

/// Whether equal pages of memory are merged with those of other sandboxes. A program can measure,
/// by the time that its writes take, whether another has a page with the same contents.
enum class MemoryMerge {
  kOff,
  kOn,    ///< PR_SET_MEMORY_MERGE; refused where the kernel lacks it
  kDeep,  ///< and no address randomisation, and PYTHONHASHSEED=0: far more merges, and far less
          ///< secret
};

struct Spec {
  Command command{};  ///< empty argv: nothing but the init, which waits for Sandbox::exec

  std::string hostname = "sandbox";
  Root root{};
  std::vector<MountPoint> mounts{};  ///< in this order, after the root and its /proc, /dev and /tmp
  std::uint64_t shm_bytes = 0;       ///< size of /dev/shm; 0: half of the machine's memory

  /// Who the program is. Empty: an ordinary caller stays himself, and so does root with
  /// Mode::kHost; for root otherwise, "sandbox" (1000), or the first id of a kMap without it.
  std::optional<User> user{};
  UserNamespace user_namespace{};

  /// What the program may do. Empty: nothing, or CapabilitySet::sandbox_root() for user 0 of the
  /// sandbox's own user namespace.
  std::optional<CapabilitySet> capabilities{};
  SeccompFilter seccomp = SeccompFilter::default_profile();
  bool no_new_privileges = true;  ///< set-user-id programs and file capabilities give nothing

  Network network{};
  IpcLimits ipc{};
  std::vector<Rlimit> rlimits{};

  /// What all of the sandbox together may use. The caller needs a place among the control groups:
  /// as root any, as an ordinary user one that was delegated to him.
  Limits limits{};
  std::optional<std::chrono::milliseconds> cpu_time_max{};  ///< of all; above 0, with Init::kYes
  MemoryMerge memory_merge = MemoryMerge::kOff;             ///< any other needs Init::kYes

  Init init = Init::kYes;

  /// Where the init listens for Sandbox::open: a path for a socket that does not exist yet, in a
  /// directory that only the caller may enter. Empty: nowhere.
  std::filesystem::path control_socket{};
};

}  // namespace sbx
