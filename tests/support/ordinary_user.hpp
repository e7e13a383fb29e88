// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sbx::test {

/// Makes the calling process, which is root's, that of the ordinary user `uid`, of the group of the
/// same number and no other, for good. It keeps the right to its own files below /proc.
inline void become_user(uid_t uid) {
  if (::setgroups(0, nullptr) < 0 || ::setresgid(uid, uid, uid) < 0 ||
      ::setresuid(uid, uid, uid) < 0 || ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
    throw std::system_error(errno, std::system_category(), "cannot become an ordinary user");
}

}  // namespace sbx::test
