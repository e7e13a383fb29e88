// SPDX-License-Identifier: Apache-2.0
//
// A private IPC namespace whose shared memory segments may have 1 MiB at most.
#include <sys/ipc.h>
#include <sys/shm.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sbx/error.hpp"
#include "sbx/ipc.hpp"
#include "sbx/namespace.hpp"

namespace {

constexpr std::size_t kMiB = 1 << 20;

bool make_segment(std::size_t bytes) {
  const int segment = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
  std::printf("segment of %zu bytes: %s\n", bytes, segment < 0 ? std::strerror(errno) : "made");
  return segment >= 0;
}

}  // namespace

int main() try {
  // What is made in the namespace goes with it.
  const auto ipc = sbx::Namespace::create(sbx::NamespaceKind::kIpc);
  const bool limited = ipc.run([] {
    sbx::IpcLimits{.shmmax_bytes = kMiB}.apply();
    const bool small = make_segment(kMiB);
    const bool large = make_segment(2 * kMiB);
    return small && !large;
  });
  return limited ? 0 : 1;
} catch (const sbx::SystemError& error) {
  if (error.code().value() != EPERM) throw;
  std::printf("not permitted here: %s\n", error.what());
  return 0;
}
