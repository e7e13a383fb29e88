// SPDX-License-Identifier: Apache-2.0
#include "sbx/keyring.hpp"

#include <doctest/doctest.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <concepts>
#include <future>
#include <string>

#include "sbx/error.hpp"
#include "support/require.hpp"

using sbx::SessionKeyring;

#define REQUIRE_KEYRINGS() \
  if (!keyrings_work()) SBX_SKIP("the kernel offers no keyrings")

namespace {

// The session keyring belongs to the thread: each test has one of its own, which ends with it.
template <std::invocable F>
auto on_a_thread(F body) {
  auto done = std::async(std::launch::async, body);
  return done.get();
}

bool keyrings_work() {
  return on_a_thread([] { return ::syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) > 0; });
}

long add_key(const char* name) {
  return ::syscall(__NR_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING);
}

bool finds_key(const char* name) {
  return ::syscall(__NR_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0) >= 0;
}

constexpr const char kKey[] = "sbx-test-key";

}  // namespace

TEST_CASE("a thread that joins a new session keyring has it from then on") {
  REQUIRE_KEYRINGS();

  const auto [joined, current] = on_a_thread([] {
    const auto keyring = SessionKeyring::join_new();
    return std::pair(keyring.id(), SessionKeyring::current().id());
  });

  CHECK(joined > 0);
  CHECK(joined == current);
}

TEST_CASE("each new session keyring is another one") {
  REQUIRE_KEYRINGS();

  const auto [first, second] = on_a_thread([] {
    const auto keyring = SessionKeyring::join_new();
    return std::pair(keyring.id(), SessionKeyring::join_new().id());
  });

  CHECK(first != second);
}

TEST_CASE("a new session keyring does not show the keys of the one before") {
  REQUIRE_KEYRINGS();

  const auto [before, after] = on_a_thread([] {
    SessionKeyring::join_new();
    add_key(kKey);
    const bool found = finds_key(kKey);
    SessionKeyring::join_new();
    return std::pair(found, finds_key(kKey));
  });

  CHECK(before);
  CHECK_FALSE(after);
}

TEST_CASE("the threads that a thread starts inherit its session keyring") {
  REQUIRE_KEYRINGS();

  const auto [mine, inherited] = on_a_thread([] {
    const auto keyring = SessionKeyring::join_new();
    return std::pair(keyring.id(), on_a_thread([] { return SessionKeyring::current().id(); }));
  });

  CHECK(mine == inherited);
}

TEST_CASE("joining a new session keyring leaves other threads with theirs") {
  REQUIRE_KEYRINGS();

  const auto [mine, after] = on_a_thread([] {
    const auto keyring = SessionKeyring::join_new();
    on_a_thread([] { return SessionKeyring::join_new().id(); });
    return std::pair(keyring.id(), SessionKeyring::current().id());
  });

  CHECK(mine == after);
}

TEST_CASE("a session keyring that was revoked is an error") {
  REQUIRE_KEYRINGS();

  const auto revoke_own = [] {
    const auto keyring = SessionKeyring::join_new();
    ::syscall(__NR_keyctl, KEYCTL_REVOKE, keyring.id());
    return SessionKeyring::current().id();
  };

  CHECK_THROWS_WITH_AS(on_a_thread(revoke_own),
                       "cannot find the session keyring: Key has been revoked", sbx::SystemError);
}
