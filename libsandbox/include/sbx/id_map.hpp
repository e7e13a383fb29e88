// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"

namespace sbx {

/// One line of /proc/PID/uid_map or gid_map: `count` ids from `inside` on are, seen from the parent
/// user namespace, the ids from `outside` on. See user_namespaces(7).
struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 1;

  friend bool operator==(const IdRange&, const IdRange&) = default;
};

/// A whole map. Ids that no range covers appear as the overflow id (65534) inside.
using IdMap = std::vector<IdRange>;

/// Reads "INSIDE:OUTSIDE:COUNT[,...]". Throws std::invalid_argument for anything else: signs,
/// spaces, numbers above 4294967294, empty or overlapping ranges.
SBX_API IdMap parse_id_map(std::string_view text);

/// What `inside` is outside; none when no range covers it.
[[nodiscard]] SBX_API std::optional<std::uint32_t> map_to_outside(const IdMap& map,
                                                                  std::uint32_t inside);

/// The ranges that /etc/subuid (or, with "/etc/subgid", /etc/subgid) gives to `user`, as
/// subuid(5) has it: by name or by number. `inside` is 0 in each; empty when there are none.
SBX_API std::vector<IdRange> subordinate_ids(const std::string& file, const std::string& user,
                                             std::uint32_t uid);

/// Writes the maps of the user namespace of process `pid`, once and for all. Uses newuidmap(1) and
/// newgidmap(1) where the caller may not write them himself: that is for an ordinary user's ranges
/// out of /etc/subuid; his own single id needs neither. `setgroups` is denied whenever the kernel
/// asks for it (an unprivileged writer). A map without ranges is left unwritten. Throws
/// SystemError.
SBX_API void write_id_maps(int pid, const IdMap& uids, const IdMap& gids);

}  // namespace sbx
