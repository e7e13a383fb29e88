// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace sbx::detail {

/// The program that becomes process 1 of a sandbox: an ELF executable, part of this library.
std::span<const unsigned char> init_image() noexcept;

}  // namespace sbx::detail
