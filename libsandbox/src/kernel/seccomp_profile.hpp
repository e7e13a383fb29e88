// SPDX-License-Identifier: Apache-2.0
//
// The built-in profiles as tables. Only the generator contains them: the library embeds the
// programs made from them.
#pragma once

#include "kernel/seccomp_program.hpp"

namespace sbx::detail {

SeccompProfile default_seccomp_profile();
SeccompProfile strict_seccomp_profile();

/// Refuses the set-id bits and nothing else: what stays where the caller chose another filter.
SeccompProfile set_id_seccomp_profile();

}  // namespace sbx::detail
