// SPDX-License-Identifier: Apache-2.0
//
// The keeper: a process beside a sandbox that starts pasta(1) for it, and ends it when the sandbox
// has ended or its maker hangs up. pasta notices neither by itself. It is a program of its own
// rather than a copy of the maker: he may be big, and may be gone long before it.
#pragma once

#include <cstdint>

#include "launch/child/failure.hpp"

namespace sbx::child {

/// The keeper's descriptors. The standard ones are pasta's: what it says of an error goes to the
/// maker.
struct KeeperFd {
  static constexpr int kErrors = 2;
  static constexpr int kMaker = 3;    // a socket that keeps messages apart
  static constexpr int kSandbox = 4;  // a pidfd of its process 1
  static constexpr int kProgram = 5;  // a file with the Program to execute: of pasta's
};

/// What the keeper says, once. What the maker says, once, is one byte of any kind: pasta shall go
/// on when he is gone.
struct KeeperWord {
  Failure failure{};
  std::int32_t status = 0;  // the wait status of pasta's first process: 0 when the network is up
};

/// What a child that becomes the keeper shares with the caller until it has.
struct KeeperStart {
  int image = -1;
  int errors = -1;
  int maker = -1;
  int sandbox = -1;
  int program = -1;
  Failure failure{};
};

/// Such a child, with a table of descriptors of its own; `start` is a KeeperStart. Executes the
/// keeper, or leaves what failed and ends.
void become_keeper(void* start) noexcept;

}  // namespace sbx::child
