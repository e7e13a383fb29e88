// SPDX-License-Identifier: Apache-2.0
#include "sbx/ipc.hpp"

#include <doctest/doctest.h>

using Sysctls = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("limits of an ipc namespace that say nothing set nothing") {
  CHECK(sbx::IpcLimits{}.sysctls().empty());
}

TEST_CASE("each limit of an ipc namespace has its file below /proc/sys") {
  const sbx::IpcLimits limits{.shmmax_bytes = 1,
                              .shmall_pages = 2,
                              .shmmni = 3,
                              .msgmax_bytes = 4,
                              .msgmnb_bytes = 5,
                              .msgmni = 6,
                              .mqueue_queues = 7,
                              .mqueue_msg = 8,
                              .mqueue_msgsize_bytes = 9};

  CHECK(limits.sysctls() == Sysctls{{"kernel/shmmax", "1"},
                                    {"kernel/shmall", "2"},
                                    {"kernel/shmmni", "3"},
                                    {"kernel/msgmax", "4"},
                                    {"kernel/msgmnb", "5"},
                                    {"kernel/msgmni", "6"},
                                    {"fs/mqueue/queues_max", "7"},
                                    {"fs/mqueue/msg_max", "8"},
                                    {"fs/mqueue/msgsize_max", "9"}});
}

TEST_CASE("a limit of an ipc namespace may be zero") {
  CHECK(sbx::IpcLimits{.mqueue_queues = 0}.sysctls() == Sysctls{{"fs/mqueue/queues_max", "0"}});
}

TEST_CASE("a limit of an ipc namespace may be the largest number") {
  CHECK(sbx::IpcLimits{.shmall_pages = UINT64_MAX}.sysctls() ==
        Sysctls{{"kernel/shmall", "18446744073709551615"}});
}
