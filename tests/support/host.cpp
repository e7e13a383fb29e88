// SPDX-License-Identifier: Apache-2.0
#include "support/host.hpp"

#include <sys/utsname.h>

#include <cstring>

#include "sbx/error.hpp"
#include "sbx/mount.hpp"
#include "sbx/namespace.hpp"

namespace sbx::test {

bool kernel_is_since(const std::string& version) {
  utsname system{};
  return ::uname(&system) == 0 && ::strverscmp(system.release, version.c_str()) >= 0;
}

bool can_map_ids(const std::filesystem::path& path) try {
  Mount::clone(path).idmap(Namespace::create_user({{0, 1000, 1}}, {{0, 1000, 1}}));
  return true;
} catch (const SystemError&) {
  return false;
}

}  // namespace sbx::test
