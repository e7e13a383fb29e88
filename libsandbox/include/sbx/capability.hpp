// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"

namespace sbx {

/// The capabilities by their numbers in the kernel. See capabilities(7).
enum class Capability : std::uint8_t {
  kChown = 0,
  kDacOverride = 1,
  kDacReadSearch = 2,
  kFowner = 3,
  kFsetid = 4,
  kKill = 5,
  kSetgid = 6,
  kSetuid = 7,
  kSetpcap = 8,
  kLinuxImmutable = 9,
  kNetBindService = 10,
  kNetBroadcast = 11,
  kNetAdmin = 12,
  kNetRaw = 13,
  kIpcLock = 14,
  kIpcOwner = 15,
  kSysModule = 16,
  kSysRawio = 17,
  kSysChroot = 18,
  kSysPtrace = 19,
  kSysPacct = 20,
  kSysAdmin = 21,
  kSysBoot = 22,
  kSysNice = 23,
  kSysResource = 24,
  kSysTime = 25,
  kSysTtyConfig = 26,
  kMknod = 27,
  kLease = 28,
  kAuditWrite = 29,
  kAuditControl = 30,
  kSetfcap = 31,
  kMacOverride = 32,
  kMacAdmin = 33,
  kSyslog = 34,
  kWakeAlarm = 35,
  kBlockSuspend = 36,
  kAuditRead = 37,
  kPerfmon = 38,
  kBpf = 39,
  kCheckpointRestore = 40,
};

/// A set of capabilities: a plain value, empty by default.
class SBX_API CapabilitySet {
 public:
  constexpr CapabilitySet() noexcept = default;
  constexpr explicit CapabilitySet(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr CapabilitySet(std::initializer_list<Capability> members) noexcept {
    for (const Capability member : members) add(member);
  }

  /// Every capability that this library knows.
  static constexpr CapabilitySet all() noexcept {
    return CapabilitySet((std::uint64_t{1} << 41) - 1);
  }

  /// What user 0 of a sandbox's own user namespace has by default: what programs that drop
  /// privileges, unpack archives or open low ports expect, over the sandbox's ids alone.
  static constexpr CapabilitySet sandbox_root() noexcept {
    using enum Capability;
    return {kChown,  kDacOverride, kFowner,  kFsetid,        kKill,
            kSetgid, kSetuid,      kSetpcap, kNetBindService};
  }

  constexpr CapabilitySet& add(Capability member) noexcept {
    bits_ |= bit(member);
    return *this;
  }
  constexpr CapabilitySet& drop(Capability member) noexcept {
    bits_ &= ~bit(member);
    return *this;
  }
  [[nodiscard]] constexpr bool contains(Capability member) const noexcept {
    return (bits_ & bit(member)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }

  /// The mask that /proc/PID/status shows as CapEff and its like.
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }

  /// The members' names in the kernel's order, lower case and without "cap_".
  [[nodiscard]] std::vector<std::string> names() const;

  friend constexpr bool operator==(const CapabilitySet&, const CapabilitySet&) = default;

 private:
  static constexpr std::uint64_t bit(Capability member) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(member);
  }

  std::uint64_t bits_ = 0;
};

/// The capability of that name, in any case, with or without "cap_": "net_admin", "CAP_NET_ADMIN".
/// Throws std::invalid_argument for a name that is none.
SBX_API Capability parse_capability(std::string_view name);

/// All five sets of a thread, as /proc/PID/status shows them.
struct SBX_API ThreadCapabilities {
  CapabilitySet inheritable{};
  CapabilitySet permitted{};
  CapabilitySet effective{};
  CapabilitySet bounding{};
  CapabilitySet ambient{};

  /// Those of the calling thread.
  static ThreadCapabilities current();

  /// Those of process `pid` in the caller's view of /proc.
  static ThreadCapabilities of(int pid);

  /// Makes them the calling thread's, and only its. What the kernel does not let a thread regain
  /// stays lost. Throws SystemError: EPERM for a set that exceeds what the thread may have.
  void apply() const;

  friend bool operator==(const ThreadCapabilities&, const ThreadCapabilities&) = default;
};

}  // namespace sbx
