// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/capability.h>

#include <cstdint>

namespace sbx::detail {

/// Another effective user for the calling thread, as long as this object lives; its capabilities
/// stay. A user namespace belongs to the effective user of its maker, and what the kernel counts by
/// user, such as inotify instances and pending signals, is counted for that one, too.
///
/// For callers with CAP_SETUID. The memory's dumpable flag may be lost: see DumpableFlag.
class EffectiveUser {
 public:
  explicit EffectiveUser(std::uint32_t uid);
  EffectiveUser(const EffectiveUser&) = delete;
  EffectiveUser& operator=(const EffectiveUser&) = delete;
  EffectiveUser(EffectiveUser&&) = delete;
  EffectiveUser& operator=(EffectiveUser&&) = delete;
  ~EffectiveUser();

 private:
  void restore() noexcept;

  std::uint32_t before_;
  int parent_;
  int death_signal_ = 0;
  __user_cap_data_struct capabilities_[2] = {};
};

}  // namespace sbx::detail
