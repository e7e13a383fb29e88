// SPDX-License-Identifier: Apache-2.0
//
// The other programs that Debian has for this, with the command lines that come closest to what
// sbx-run does without a flag. None of them loads a filter here.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sbx::bench {

struct Peer {
  std::string name;
  std::vector<std::string> words;
};

/// What the peers show of this host, and a folder for what they need as files.
class Host {
 public:
  /// `folder` is empty, and the caller's to remove.
  explicit Host(std::filesystem::path folder);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  /// Folders and large files that are mounted read-only.
  [[nodiscard]] const std::vector<std::string>& trees() const { return trees_; }

  /// Paths in the root that are links, with what they lead to.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& links() const {
    return links_;
  }

  /// What there is of /proc to be hidden: absolute paths, and whether it is a folder.
  [[nodiscard]] const std::vector<std::pair<std::string, bool>>& masks() const { return masks_; }

  /// A folder with every mount point, for peers that do not make them.
  [[nodiscard]] std::filesystem::path root() const { return folder_ / "root"; }

 private:
  void make_root() const;

  std::filesystem::path folder_;
  std::vector<std::string> trees_;
  std::vector<std::pair<std::string, std::string>> links_;
  std::vector<std::pair<std::string, bool>> masks_;
};

/// The places to write that a sandbox has of its own.
inline const std::vector<std::string> kOwnPlaces = {"/tmp", "/var/tmp", "/run", "/home/sandbox"};

std::vector<Peer> peers_with_own_root(const Host& host);
std::vector<Peer> peers_with_host_root(const Host& host);

/// Bubblewrap without a /dev, places to write and masks of its own.
Peer shortest_with_host_root();

/// The folder of an OCI bundle that runs true: in the host's `root`, or in its "/" itself.
enum class OciRoot { kOwn, kHost };
std::filesystem::path write_bundle(const Host& host, OciRoot root);

/// systemd-nspawn leaves two control groups below its caller's. Removes them, if they were not
/// there before.
class NspawnGroups {
 public:
  NspawnGroups();
  NspawnGroups(const NspawnGroups&) = delete;
  NspawnGroups& operator=(const NspawnGroups&) = delete;
  NspawnGroups(NspawnGroups&&) = delete;
  NspawnGroups& operator=(NspawnGroups&&) = delete;
  ~NspawnGroups();

 private:
  std::vector<std::filesystem::path> absent_;
};

}  // namespace sbx::bench
