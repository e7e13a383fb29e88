// SPDX-License-Identifier: Apache-2.0
#include "launch/init_image.hpp"

namespace sbx::detail {
namespace {

constexpr unsigned char kImage[] = {
#include "init_image.inc"
};

}  // namespace

std::span<const unsigned char> init_image() noexcept { return kImage; }

}  // namespace sbx::detail
