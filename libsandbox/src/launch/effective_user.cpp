// SPDX-License-Identifier: Apache-2.0
#include "launch/effective_user.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

constexpr const char* kAttempt = "cannot make a user namespace that is not the caller's";

__user_cap_header_struct header() { return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0}; }

}  // namespace

EffectiveUser::EffectiveUser(std::uint32_t uid) : before_(::geteuid()), parent_(::getppid()) {
  auto head = header();
  check(raw::capget(&head, capabilities_), kAttempt);
  if (::prctl(PR_GET_PDEATHSIG, &death_signal_) < 0) throw_errno(kAttempt);
  check(raw::set_effective_user(uid), kAttempt);
  const long kept = raw::capset(&head, capabilities_);
  if (kept >= 0) return;
  restore();
  check(kept, kAttempt);
}

EffectiveUser::~EffectiveUser() { restore(); }

void EffectiveUser::restore() noexcept {
  auto head = header();
  raw::set_effective_user(before_);
  raw::capset(&head, capabilities_);
  if (death_signal_ == 0) return;
  // The kernel clears it when a process changes identity; the parent may have died meanwhile.
  ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(death_signal_));
  if (::getppid() != parent_) ::raise(death_signal_);
}

}  // namespace sbx::detail
