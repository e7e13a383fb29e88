// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "sbx/spec.hpp"

namespace sbx::detail {

/// Who a sandbox is: outside, inside, and how one relates to the other.
struct Identity {
  bool privileged = false;  // the caller may mount, and map any ids
  bool user_namespace = true;
  bool maps_root = false;  // id 0 exists inside
  bool may_set_groups = false;
  IdMap uids{};  // empty without a user namespace
  IdMap gids{};
  std::optional<std::uint32_t> namespace_owner{};  // none: the caller
  User user{};                                     // complete: with name and home
  CapabilitySet capabilities{};
};

/// Decides it. Throws std::invalid_argument for a user whom the maps do not cover, and for what an
/// ordinary caller may not ask for.
Identity resolve_identity(const Spec& spec);

/// Whether root's sandboxes belong to `uid`, a number that nobody else has: what the kernel counts
/// by the owner of a user namespace is then counted for each sandbox apart.
bool is_owner_of_sandboxes(std::uint32_t uid);

/// Fills the name and home of `user` where they are empty.
User complete_user(User user);

}  // namespace sbx::detail
