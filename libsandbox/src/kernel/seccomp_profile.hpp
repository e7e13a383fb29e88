// SPDX-License-Identifier: Apache-2.0
//
// The built-in profiles as tables. Only the generator contains them: the library embeds the
// programs made from them.
#pragma once

#include "kernel/seccomp_program.hpp"

namespace sbx::detail {

/// Whether the program may give a file the set-user-id or set-group-id bit. Where the ids inside
/// map to none that is privileged outside, the bits are harmless.
enum class SetIdBits { kAllowed, kRefused };

SeccompProfile default_seccomp_profile(SetIdBits set_id_bits = SetIdBits::kRefused);
SeccompProfile strict_seccomp_profile(SetIdBits set_id_bits = SetIdBits::kRefused);

/// Refuses the set-id bits and nothing else: what stays where the caller chose another filter.
SeccompProfile set_id_seccomp_profile();

}  // namespace sbx::detail
