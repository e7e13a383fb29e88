// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sbx/api.hpp"

namespace sbx {

/// The session keyring of a process: keys that are not namespaced, so that a program which keeps
/// its caller's keyring reads the caller's keys. See session-keyring(7).
class SBX_API SessionKeyring {
 public:
  /// Gives the calling thread, and what it starts, a new and empty session keyring in place of the
  /// one it had. Throws SystemError: EDQUOT when the user has too many, ENOSYS without keyrings.
  static SessionKeyring join_new();

  /// That of the calling thread. Throws SystemError: ENOKEY when there is none.
  static SessionKeyring current();

  /// The kernel's serial number of the keyring.
  [[nodiscard]] std::int32_t id() const noexcept { return id_; }

 private:
  explicit SessionKeyring(std::int32_t id) noexcept : id_(id) {}

  std::int32_t id_;
};

}  // namespace sbx
