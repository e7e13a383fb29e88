// SPDX-License-Identifier: Apache-2.0
#include "sbx/ipc.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <concepts>
#include <future>
#include <system_error>

#include "sbx/error.hpp"
#include "support/require.hpp"

using sbx::IpcLimits;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr unsigned kNobody = 65534;

// An IPC namespace is a thread's own, so these can change without a change for the others.
template <std::invocable F>
auto in_ipc_namespace(F body) {
  auto done = std::async(std::launch::async, [&] {
    if (::unshare(CLONE_NEWIPC) < 0)
      throw std::system_error(errno, std::system_category(), "cannot unshare");
    return body();
  });
  return done.get();
}

int shmget_errno(std::size_t size) {
  const int segment = ::shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
  if (segment < 0) return errno;
  ::shmctl(segment, IPC_RMID, nullptr);
  return 0;
}

}  // namespace

TEST_CASE("the limits of the caller's ipc namespace can be read") {
  const auto limits = IpcLimits::current();

  CHECK(limits.shmmax_bytes.value_or(0) > 0);
  CHECK(limits.msgmni.value_or(0) > 0);
}

TEST_CASE("all limits of a new ipc namespace can be set") {
  SBX_REQUIRE_ROOT();
  const IpcLimits wanted{.shmmax_bytes = 8 * kMiB,
                         .shmall_pages = 4096,
                         .shmmni = 16,
                         .msgmax_bytes = 1024,
                         .msgmnb_bytes = 4096,
                         .msgmni = 4,
                         .mqueue_queues = 3,
                         .mqueue_msg = 5,
                         .mqueue_msgsize_bytes = 2048};

  const auto limits = in_ipc_namespace([&] {
    wanted.apply();
    return IpcLimits::current();
  });

  CHECK(limits.sysctls() == wanted.sysctls());
}

TEST_CASE("limits of an ipc namespace that are left empty stay as they are") {
  SBX_REQUIRE_ROOT();

  const auto [before, after] = in_ipc_namespace([] {
    auto limits = IpcLimits::current();
    IpcLimits{.shmmni = 16}.apply();
    return std::pair(limits, IpcLimits::current());
  });

  auto expected = before;
  expected.shmmni = 16;
  CHECK(after.sysctls() == expected.sysctls());
}

TEST_CASE("limits of one ipc namespace do not change another's") {
  SBX_REQUIRE_ROOT();
  const auto before = IpcLimits::current();

  in_ipc_namespace([] {
    IpcLimits{.shmmax_bytes = kMiB, .msgmni = 1, .mqueue_queues = 1}.apply();
    return true;
  });

  CHECK(IpcLimits::current().sysctls() == before.sysctls());
}

TEST_CASE("shared memory beyond the limit of its ipc namespace is refused") {
  SBX_REQUIRE_ROOT();

  const auto [within, beyond] = in_ipc_namespace([] {
    IpcLimits{.shmmax_bytes = kMiB}.apply();
    return std::pair(shmget_errno(kMiB), shmget_errno(kMiB + 1));
  });

  CHECK(within == 0);
  CHECK(beyond == EINVAL);
}

TEST_CASE("a limit of an ipc namespace that the kernel refuses is an error") {
  SBX_REQUIRE_ROOT();

  const auto ask_for_too_many = [] {
    IpcLimits{.shmmni = 1 << 30}.apply();
    return true;
  };

  CHECK_THROWS_WITH_AS(in_ipc_namespace(ask_for_too_many),
                       "cannot write '/proc/sys/kernel/shmmni': Invalid argument",
                       sbx::SystemError);
}

TEST_CASE("limits of an ipc namespace need privilege in it") {
  SBX_REQUIRE_ROOT();

  // The raw call changes the user of the calling thread only.
  const auto apply_as_nobody = [] {
    ::syscall(__NR_setresuid, kNobody, kNobody, kNobody);
    IpcLimits{.shmmax_bytes = kMiB}.apply();
    return true;
  };

  CHECK_THROWS_WITH_AS(in_ipc_namespace(apply_as_nobody),
                       "cannot write '/proc/sys/kernel/shmmax': Permission denied",
                       sbx::SystemError);
}
