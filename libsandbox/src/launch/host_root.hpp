// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "launch/identity.hpp"
#include "sbx/fd.hpp"

namespace sbx::detail {

/// A small file of the sandbox's /etc.
struct EtcFile {
  std::string path;  // absolute
  std::string contents;
};

/// Something of the host's that the `host` root shows read-only.
struct HostTree {
  std::string path;
  bool is_directory = true;
};

/// A symbolic link of the host's that the `host` root has too, such as /bin.
struct HostLink {
  std::string path;
  std::string leads_to;
};

/// What the `host` root consists of: an allow-list. What is not named here is not there.
struct HostRoot {
  std::vector<HostTree> trees;
  std::vector<HostLink> links;
  std::vector<EtcFile> files;
  std::string passwd;  // texts of such files, with the accounts of the system alone
  std::string group;
};

/// Whether the host's name servers can be reached from inside.
enum class NameServers { kLeftOut, kShown };

/// What can be done with /etc inside. Where it is only read, files that are dear to copy are shown
/// from the host: as mounts, which nothing inside may replace.
enum class EtcUse { kRead, kWrite };

HostRoot read_host_root(NameServers name_servers, EtcUse use);

/// The accounts inside: those of `passwd` and `group` (texts of such files), and `user` in any
/// case.
std::vector<EtcFile> account_files(const std::string& passwd, const std::string& group,
                                   const User& user);

/// The largest file of somebody else's that is copied.
inline constexpr std::size_t kLargestCopy = std::size_t{1} << 20;

/// What `fd` holds, `expected` bytes at most. Errors name `path`.
std::string read_up_to(const UniqueFd& fd, std::size_t expected, const char* path);

enum class AccountKind { kUser, kGroup };

/// The lines of a passwd or group file whose id is a system's (below 1000, or 65534): the others
/// are people and tenants, who are nobody's business. So are the members of groups. What is no such
/// line is left out.
std::string system_accounts(const std::string& text, AccountKind kind);

/// /etc/hostname and /etc/hosts for a sandbox of that name.
std::vector<EtcFile> host_name_files(const std::string& hostname);

}  // namespace sbx::detail
