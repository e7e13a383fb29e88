// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "launch/network/tenant.hpp"
#include "sbx/fd.hpp"

namespace sbx::detail {

/// Who of the tenants has an owner: somebody who takes him out in the end. An owner holds a lock
/// (F_OFD_SETLK, see fcntl_locking(2)) on a byte that is the tenant's, which the kernel lets go
/// when the owner has ended, in whatever way and in whatever pid namespace, and every copy of his
/// that fork(2) has made and that has not executed another program.
///
/// Who changes something holds the lock of the book.
class Owners {
 public:
  Owners() = default;
  /// Their files are in `directory`.
  explicit Owners(UniqueFd directory) : directory_(std::move(directory)) {}

  /// Makes the caller the tenant's owner until all copies of the returned descriptor are closed.
  [[nodiscard]] UniqueFd add(Slot slot);

  /// Leaves the tenant without an owner, at once: whoever has a copy of `owned`, which add() has
  /// returned.
  static void release(Slot slot, const UniqueFd& owned) noexcept;

  /// Says that the tenant is no more. `owned`: what add() has returned, if the caller has it.
  void remove(Slot slot, UniqueFd owned = {});

  [[nodiscard]] bool has_owner(Slot slot) const;

  /// Those that were added, but not removed, and have no owner. Without the lock of the book, also
  /// some that are just removed. Takes half a microsecond for each tenant: so after a long look
  /// nobody looks again for ten times as long, unless `at_once`.
  [[nodiscard]] std::vector<Slot> left(bool at_once) const;

  /// Removes all files.
  void tidy() noexcept;

 private:
  UniqueFd directory_;
};

}  // namespace sbx::detail
