// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "sbx/api.hpp"

namespace sbx {

/// One resource limit. See setrlimit(2); the unit is the resource's own: bytes, seconds, a count.
struct SBX_API Rlimit {
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  int resource = 0;  ///< RLIMIT_NOFILE and its like
  std::uint64_t soft = kUnlimited;
  std::uint64_t hard = kUnlimited;

  /// Reads "NAME=SOFT[:HARD]", such as "nofile=1024", "core=0:unlimited", "as=512M". HARD defaults
  /// to SOFT. Sizes in bytes take K, M, G and T. Throws std::invalid_argument.
  static Rlimit parse(std::string_view text);

  /// The calling process's own limit on `resource`.
  static Rlimit current(int resource);

  /// Sets it for the calling process. Throws SystemError: EPERM when `hard` would be raised without
  /// CAP_SYS_RESOURCE in the first user namespace.
  void apply() const;

  /// The lower-case name of the resource, such as "nofile".
  [[nodiscard]] std::string name() const;

  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

}  // namespace sbx
