// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sbx/fd.hpp"

namespace sbx::detail {

/// A program that this library carries in itself: a static executable.
enum class Image {
  kInit,    ///< process 1 of a sandbox
  kKeeper,  ///< what ends pasta(1) when its sandbox has ended
};

/// A memory file with it, sealed: whoever reaches the file, by /proc/PID/exe for instance, cannot
/// change what others execute. Throws SystemError.
UniqueFd open_image(Image image);

}  // namespace sbx::detail
