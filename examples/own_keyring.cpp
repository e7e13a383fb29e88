// SPDX-License-Identifier: Apache-2.0
//
// A session keyring of its own for what is started next, which then cannot find the caller's keys.
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "sbx/error.hpp"
#include "sbx/keyring.hpp"

namespace {

void add_key(const char* name) {
  syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING);
}

bool find_key(const char* name) {
  const long id = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);
  std::printf("keyring %d: %s %s\n", sbx::SessionKeyring::current().id(), name,
              id < 0 ? "is not there" : "found");
  return id >= 0;
}

}  // namespace

int main() try {
  sbx::SessionKeyring::join_new();  // stands for the caller's: this program leaves no key behind
  add_key("token");
  const bool before = find_key("token");

  sbx::SessionKeyring::join_new();
  const bool after = find_key("token");
  return before && !after ? 0 : 1;
} catch (const sbx::SystemError& error) {
  std::printf("no keyrings here: %s\n", error.what());
  return 0;
}
