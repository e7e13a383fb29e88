// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  User user{};  // complete: with name and home
  CapabilitySet capabilities{};
};

/// Decides it. Throws std::invalid_argument for a user whom the maps do not cover, and for what an
/// ordinary caller may not ask for.
Identity resolve_identity(const Spec& spec);

/// Fills the name and home of `user` where they are empty.
User complete_user(User user);

}  // namespace sbx::detail
