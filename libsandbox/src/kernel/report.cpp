// SPDX-License-Identifier: Apache-2.0
#include "sbx/report.hpp"

namespace sbx {

const char* to_string(ExitReason reason) {
  switch (reason) {
    case ExitReason::kExited:
      return "exited";
    case ExitReason::kSignal:
      return "signal";
    case ExitReason::kTimeout:
      return "timeout";
    case ExitReason::kCpuTime:
      return "cpu-time";
    case ExitReason::kMemory:
      return "memory";
    case ExitReason::kSetup:
      return "setup";
  }
  return "unknown";
}

}  // namespace sbx
