// SPDX-License-Identifier: Apache-2.0
#include "sbx/keyring.hpp"

#include <linux/keyctl.h>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx {

using detail::check;

SessionKeyring SessionKeyring::join_new() {
  // Without a name: a named keyring would be joined, not made, where one of that name exists.
  constexpr long kUnnamed = 0;
  const long id = check(raw::keyctl(KEYCTL_JOIN_SESSION_KEYRING, kUnnamed),
                        "cannot join a new session keyring");
  return SessionKeyring(static_cast<std::int32_t>(id));
}

SessionKeyring SessionKeyring::current() {
  const long id = check(raw::keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING),
                        "cannot find the session keyring");
  return SessionKeyring(static_cast<std::int32_t>(id));
}

}  // namespace sbx
