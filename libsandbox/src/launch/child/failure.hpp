// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace sbx::child {

/// Where a start failed. The parent knows the sentence for each: launch/failure.cpp.
enum class Stage : std::uint16_t {
  kNone,
  kCallerGone,
  kNamespaces,
  kPropagation,
  kBecomeRoot,
  kRootMount,
  kOverlay,
  kStep,  // index: which of Setup::steps
  kPivot,
  kHostname,
  kLoopback,
  kKeyring,
  kControlGroup,
  kSession,
  kSignals,
  kTerminal,
  kRlimit,  // index: the resource
  kBounding,
  kGroups,
  kUser,
  kCapabilities,
  kNoNewPrivileges,
  kMemoryMerge,
  kPersonality,
  kWorkdir,
  kWorkdirOutside,
  kDescriptors,
  kSeccomp,
  kInit,
  kInitSetup,
  kRequest,  // the init does not understand or cannot serve a request
  kExec,
};

struct Failure {
  Stage stage = Stage::kNone;
  std::uint16_t reserved = 0;
  std::uint32_t index = 0;
  std::int32_t error = 0;  // errno

  explicit operator bool() const noexcept { return stage != Stage::kNone; }
};

}  // namespace sbx::child
