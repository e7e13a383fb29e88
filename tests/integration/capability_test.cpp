// SPDX-License-Identifier: Apache-2.0
#include "sbx/capability.hpp"

#include <doctest/doctest.h>

#include <future>

#include "support/require.hpp"

using sbx::Capability;
using sbx::CapabilitySet;
using sbx::ThreadCapabilities;

TEST_CASE("all five sets of a thread become what was asked for") {
  SBX_REQUIRE_ROOT();
  const ThreadCapabilities wanted{.inheritable = {Capability::kKill},
                                  .permitted = {Capability::kKill, Capability::kChown},
                                  .effective = {Capability::kChown},
                                  .bounding = {Capability::kKill, Capability::kSetpcap},
                                  .ambient = {Capability::kKill}};

  auto got = std::async(std::launch::async, [&] {
    wanted.apply();
    return ThreadCapabilities::current();
  });

  CHECK(got.get() == wanted);
}

TEST_CASE("a capability that left the bounding set stays out of it without an error") {
  SBX_REQUIRE_ROOT();
  auto wanted = ThreadCapabilities::current();
  wanted.bounding.drop(Capability::kMknod);

  auto got = std::async(std::launch::async, [&] {
    wanted.apply();
    auto more = wanted;
    more.bounding.add(Capability::kMknod);
    more.apply();
    return ThreadCapabilities::current();
  });

  CHECK(got.get() == wanted);
}
