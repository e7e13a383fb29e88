// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "support/require.hpp"

namespace sbx::test {

/// Whether the running kernel is Linux `version`, such as "6.5", or a later one.
bool kernel_is_since(const std::string& version);

/// Whether the file system of `path` can be shown with other ids: mount_setattr(2),
/// MOUNT_ATTR_IDMAP. For root alone.
bool can_map_ids(const std::filesystem::path& path);

}  // namespace sbx::test

/// For what older kernels do otherwise.
#define SBX_REQUIRE_KERNEL(version) \
  if (!::sbx::test::kernel_is_since(version)) SBX_SKIP("needs Linux " version)

/// For a sandbox of root's that writes to an overlay over the host.
#define SBX_REQUIRE_HOST_WITH_OTHER_IDS() \
  if (!::sbx::test::can_map_ids("/usr"))  \
  SBX_SKIP("needs a /usr whose file system can be shown with other ids")
