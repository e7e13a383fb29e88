// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
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
  kNetwork,
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
  kKeeper,
  kPasta,
};

struct Failure {
  Stage stage = Stage::kNone;
  std::uint16_t reserved = 0;
  std::uint32_t index = 0;
  std::int32_t error = 0;  // errno

  explicit operator bool() const noexcept { return stage != Stage::kNone; }
};

/// That `stage` failed, with the negative `result` of a system call, at what has number `index`.
inline Failure failed(Stage stage, long result, std::size_t index = 0) noexcept {
  return {.stage = stage,
          .index = static_cast<std::uint32_t>(index),
          .error = static_cast<std::int32_t>(-result)};
}

}  // namespace sbx::child
