// SPDX-License-Identifier: Apache-2.0
//
// From what a filter shall answer to the program of classic BPF that the kernel runs: all use of
// libseccomp is behind this header.
#pragma once

#include <linux/filter.h>
#include <seccomp.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

namespace sbx::detail {

/// The answer to one system call, when every one of `conditions` holds for its arguments.
struct SeccompRule {
  std::string call;
  std::uint32_t action = SCMP_ACT_ALLOW;
  std::vector<scmp_arg_cmp> conditions = {};
};

/// What a filter answers to every system call of one ABI. A call through another ABI ends the
/// process, whatever the rules say.
struct SeccompProfile {
  /// The answer to a call that no rule names.
  std::uint32_t default_action = SCMP_ACT_ERRNO(ENOSYS);

  /// Judged first, by their arguments; a call that none of them refuses goes on to `rules`.
  std::vector<SeccompRule> refusals = {};

  std::vector<SeccompRule> rules = {};
};

/// Whether a rule for `call` has an effect: libseccomp or the table of newer calls knows the name.
bool is_known_call(const std::string& call);

/// The program for `profile` on `architecture` (SCMP_ARCH_*). Rules for unknown calls are
/// left out. Throws SystemError.
std::vector<sock_filter> compile(const SeccompProfile& profile,
                                 std::uint32_t architecture = SCMP_ARCH_NATIVE);

}  // namespace sbx::detail
