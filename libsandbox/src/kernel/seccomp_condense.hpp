// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "kernel/seccomp_program.hpp"

namespace sbx::detail {

/// A program that answers as compile(profile, architecture) does and is often half as long: the
/// kernel's work when it is loaded, once in each start, grows with the length. libseccomp compares
/// with one number of a system call after the other; here a binary search over ranges of numbers
/// with the same answer comes first, and what libseccomp made is asked only about the calls that it
/// judges by their arguments. Throws std::logic_error should the two ever differ.
std::vector<sock_filter> condense(const SeccompProfile& profile, std::uint32_t architecture);

}  // namespace sbx::detail
