// SPDX-License-Identifier: Apache-2.0
#include "sbx/seccomp.hpp"

#include <fmt/format.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <string>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx {
namespace {

#include "kernel/seccomp_builtin.inc"

struct NamedProfile {
  std::string_view name;
  SeccompFilter (*make)();
};

constexpr std::array kProfiles = {
    NamedProfile{"default", SeccompFilter::default_profile},
    NamedProfile{"strict", SeccompFilter::strict_profile},
    NamedProfile{"none", SeccompFilter::none},
};

}  // namespace

SeccompFilter SeccompFilter::none() { return {}; }

SeccompFilter SeccompFilter::default_profile() {
  return {std::data(kDefaultProgram), std::size(kDefaultProgram)};
}

SeccompFilter SeccompFilter::strict_profile() {
  return {std::data(kStrictProgram), std::size(kStrictProgram)};
}

SeccompFilter SeccompFilter::no_set_id() {
  return {std::data(kSetIdProgram), std::size(kSetIdProgram)};
}

SeccompFilter SeccompFilter::profile(std::string_view name) {
  const auto* found =
      std::find_if(kProfiles.begin(), kProfiles.end(),
                   [&](const NamedProfile& profile) { return profile.name == name; });
  if (found == kProfiles.end()) {
    throw std::invalid_argument(
        fmt::format("unknown seccomp profile '{}': it is 'default', 'strict' or 'none'",
                    detail::printable(std::string(name))));
  }
  return found->make();
}

void SeccompFilter::load() const {
  if (empty()) return;
  const sock_fprog program{.len = static_cast<unsigned short>(size_),
                           .filter = const_cast<sock_filter*>(data_)};
  const long result = raw::seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
  if (result >= 0) return;
  throw SystemError(static_cast<int>(-result), "cannot load the seccomp filter",
                    result == -EACCES ? "set no_new_privs first, or hold CAP_SYS_ADMIN" : "");
}

}  // namespace sbx
