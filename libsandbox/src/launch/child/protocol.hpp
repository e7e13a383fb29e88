// SPDX-License-Identifier: Apache-2.0
//
// What the launcher and the init of a sandbox say to each other, over a Unix socket that keeps
// messages apart (SOCK_SEQPACKET). Each side takes the other's words for a stranger's: sizes are
// exact, kinds and numbers are checked, descriptors that were not asked for are closed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "launch/child/failure.hpp"

namespace sbx::child {

inline constexpr std::uint32_t kProtocolMagic = 0x73627831;
inline constexpr std::size_t kMostDescriptors = 250;  // in one message; the kernel's limit is 253

enum class RequestKind : std::uint32_t {
  kPolicy,   // [block]: who every program is; the first message on the first connection. And
             // [block, cpu.stat]: the file that tells the processor time of all
  kSpawn,    // [block, channel, entrances..., passed...]: start a program, and talk about it on
             // `channel`; `value` entrances lead into its control group
  kMain,     // [block, entrances..., passed...]: start the program that the sandbox lives for
  kSignal,   // send signal `value` to the program of this channel; to its group with kGroup
  kRelease,  // go on when this connection, or the program of this channel, loses its other end
  kHello,    // answered with kHello
};

struct Request {
  enum Flag : std::uint32_t { kGroup = 1U << 0 };

  std::uint32_t magic = kProtocolMagic;
  RequestKind kind = RequestKind::kHello;
  std::uint32_t value = 0;
  std::uint32_t flags = 0;
};

enum class EventKind : std::uint32_t {
  kHello,    // with [policy]; `pid` is that of the main program, 0 without one
  kStarted,  // executed; with [master] when it has a terminal
  kFailed,   // `failure` says at what
  kStopped,  // by signal `status`
  kEnded,    // with wait status `status`; for the main program everything else has ended, too
};

struct Event {
  std::uint32_t magic = kProtocolMagic;
  EventKind kind = EventKind::kHello;
  std::int32_t pid = 0;     // in the sandbox's own view
  std::int32_t status = 0;  // as of wait(2)
  Failure failure{};
  std::uint32_t cpu_time_up = 0;  // 1: ended because its processor time was up
  std::uint64_t user_microseconds = 0;
  std::uint64_t system_microseconds = 0;
  std::uint64_t rss_max_kilobytes = 0;
  std::uint64_t read_blocks = 0;  // of 512 bytes
  std::uint64_t written_blocks = 0;
};

}  // namespace sbx::child
