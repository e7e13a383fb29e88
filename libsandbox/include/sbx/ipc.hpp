// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sbx/api.hpp"

namespace sbx {

/// Limits of an IPC namespace: the files of these names below /proc/sys/kernel and
/// /proc/sys/fs/mqueue. A field left empty keeps the kernel's value. See sysvipc(7),
/// mq_overview(7).
struct SBX_API IpcLimits {
  std::optional<std::uint64_t> shmmax_bytes{};   ///< largest SysV shared memory segment
  std::optional<std::uint64_t> shmall_pages{};   ///< all SysV shared memory together, in pages
  std::optional<std::uint64_t> shmmni{};         ///< number of SysV segments
  std::optional<std::uint64_t> msgmax_bytes{};   ///< longest SysV message
  std::optional<std::uint64_t> msgmnb_bytes{};   ///< bytes in one SysV queue
  std::optional<std::uint64_t> msgmni{};         ///< number of SysV queues
  std::optional<std::uint64_t> mqueue_queues{};  ///< number of POSIX queues
  std::optional<std::uint64_t> mqueue_msg{};     ///< messages in one POSIX queue
  std::optional<std::uint64_t> mqueue_msgsize_bytes{};  ///< longest POSIX message

  /// Those of the calling thread's IPC namespace.
  static IpcLimits current();

  /// Sets the fields that are not empty in the calling thread's IPC namespace. Throws SystemError.
  void apply() const;

  /// The fields that are not empty, as path below /proc/sys and text to write.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> sysctls() const;
};

}  // namespace sbx
