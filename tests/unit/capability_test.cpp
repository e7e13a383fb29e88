// SPDX-License-Identifier: Apache-2.0
#include "sbx/capability.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <future>
#include <sbx/error.hpp>
#include <stdexcept>

using sbx::Capability;
using sbx::CapabilitySet;
using sbx::ThreadCapabilities;

namespace {

/// No capabilities, which leaves any thread's bounding set alone.
ThreadCapabilities none() {
  ThreadCapabilities thread;
  thread.bounding = ThreadCapabilities::current().bounding;
  return thread;
}

}  // namespace

TEST_CASE("a capability is known by its name in any case and with or without cap_") {
  CHECK(sbx::parse_capability("chown") == Capability::kChown);
  CHECK(sbx::parse_capability("CAP_NET_ADMIN") == Capability::kNetAdmin);
  CHECK(sbx::parse_capability("Cap_sys_Admin") == Capability::kSysAdmin);
  CHECK(sbx::parse_capability("checkpoint_restore") == Capability::kCheckpointRestore);
}

TEST_CASE("a name of no capability is refused") {
  CHECK_THROWS_WITH_AS(sbx::parse_capability("root"), "unknown capability 'root'",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(sbx::parse_capability("cap_"), "unknown capability 'cap_'",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(sbx::parse_capability(""), "unknown capability ''", std::invalid_argument);
  CHECK_THROWS_WITH_AS(sbx::parse_capability("kill\n"), "unknown capability 'kill\\x0a'",
                       std::invalid_argument);
}

TEST_CASE("every capability's name is read back as that capability") {
  CapabilitySet read_back;

  for (const auto& name : CapabilitySet::all().names()) read_back.add(sbx::parse_capability(name));

  CHECK(read_back == CapabilitySet::all());
}

TEST_CASE("the names of a set are in the kernel's order") {
  const CapabilitySet set{Capability::kNetAdmin, Capability::kChown, Capability::kSysChroot};

  CHECK(set.names() == std::vector<std::string>{"chown", "net_admin", "sys_chroot"});
}

TEST_CASE("a capability that is newer than this library goes by its number") {
  CHECK(CapabilitySet(std::uint64_t{1} << 63).names() == std::vector<std::string>{"63"});
}

TEST_CASE("a set holds what was added and not what was dropped") {
  CapabilitySet set{Capability::kKill, Capability::kSetuid};

  set.add(Capability::kBpf).drop(Capability::kKill);

  CHECK(set == CapabilitySet{Capability::kSetuid, Capability::kBpf});
  CHECK(set.contains(Capability::kBpf));
  CHECK_FALSE(set.contains(Capability::kKill));
  CHECK(set.bits() == 0x8000000080);
}

TEST_CASE("the first thread's capabilities are those of its process") {
  CHECK(ThreadCapabilities::current() == ThreadCapabilities::of(::getpid()));
}

TEST_CASE("a thread may always keep what it has") {
  const auto before = ThreadCapabilities::current();

  before.apply();

  CHECK(ThreadCapabilities::current() == before);
}

TEST_CASE("a thread that gives up its capabilities leaves those of the others alone") {
  const auto before = ThreadCapabilities::current();

  auto of_thread = std::async(std::launch::async, [] {
    none().apply();
    return ThreadCapabilities::current();
  });

  CHECK(of_thread.get() == none());
  CHECK(ThreadCapabilities::current() == before);
}

TEST_CASE("a thread cannot regain what it gave up") {
  auto done = std::async(std::launch::async, [] {
    none().apply();
    auto more = none();
    more.permitted = more.effective = {Capability::kChown};
    more.apply();
  });

  CHECK_THROWS_WITH_AS(
      done.get(),
      "cannot set the capabilities effective=0x1 permitted=0x1 inheritable=0x0: Operation not "
      "permitted",
      sbx::SystemError);
}

TEST_CASE("only what is permitted and inheritable can be made ambient") {
  auto done = std::async(std::launch::async, [] {
    auto thread = none();
    thread.ambient = {Capability::kNetAdmin};
    thread.apply();
  });

  CHECK_THROWS_WITH_AS(done.get(),
                       "cannot make the capability 'net_admin' ambient: Operation not permitted",
                       sbx::SystemError);
}

TEST_CASE("a thread without setpcap cannot drop from the bounding set") {
  auto done = std::async(std::launch::async, [] {
    auto thread = none();
    thread.apply();
    thread.bounding.drop(Capability::kChown);
    thread.apply();
  });

  CHECK_THROWS_WITH_AS(
      done.get(),
      "cannot drop the capability 'chown' from the bounding set: Operation not permitted",
      sbx::SystemError);
}

TEST_CASE("the capabilities of a process that is gone cannot be read") {
  CHECK_THROWS_WITH_AS(ThreadCapabilities::of(999999999),
                       "cannot read '/proc/999999999/status': No such file or directory",
                       sbx::SystemError);
}
