// SPDX-License-Identifier: Apache-2.0
//
// Who has which addresses. Two directories are kept: one of what is in use now, one of what a name
// gets again when it comes back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/network/owners.hpp"
#include "launch/network/tenant.hpp"
#include "sbx/fd.hpp"
#include "sbx/network.hpp"

namespace sbx::detail {

/// A setting of the kernel's that was changed: a file below /proc/sys/net.
struct ChangedSetting {
  std::string path;
  std::string before;
  std::string now;
};

/// What has been made of the host's network for all sandboxes together.
struct HostRecord {
  Pools pools;
  std::vector<ChangedSetting> settings;
  ClosedLinks closed;
  std::vector<IpAddress> name_servers;
  std::vector<std::string> tables;    // of others, when the warnings were looked for
  std::vector<std::string> warnings;  // of what will be in the way
  bool ready = false;                 // all of it is there
  bool bridge = false;                // and the bridge
};

/// What is remembered of a name.
struct NameRecord {
  Slot slot = 0;
  NetworkUsage usage;  // up to the last time that its sandbox ended
};

/// The book of a network namespace, open, and locked against all others who would write in it.
/// Everything that is written is there when the call returns, or is as it was: whoever writes may
/// be killed at any time.
class AddressBook {
 public:
  /// Waits for the lock. Makes the directories.
  explicit AddressBook(const HostNetwork& host);  // of the calling thread's namespace
  AddressBook(const HostNetwork& host, std::uint64_t namespace_cookie);

  /// None before the network is set up.
  [[nodiscard]] std::optional<HostRecord> host() const;
  void write_host(const HostRecord& record);
  void remove_host();

  /// Those that were given away before; of a HostNetwork that names some, these.
  [[nodiscard]] std::optional<Pools> pools() const;
  void write_pools(const Pools& pools);

  /// Gives `tenant` a slot: that of its name, or a free one. The caller is its owner until all
  /// copies of the descriptor are closed. Throws SystemError: EBUSY when a tenant has the name's,
  /// ENOSPC when none is free.
  [[nodiscard]] UniqueFd enter(Tenant& tenant, const Pools& pools);

  /// Writes down that the tenant has no owner any more, and needs none. `owned`: what enter() has
  /// returned.
  void release(const Tenant& tenant, const UniqueFd& owned);

  /// Takes the tenant out, and adds `usage` to what its name has used. `owned`: what enter() has
  /// returned, of the caller's own.
  void leave(const Tenant& tenant, const NetworkUsage& usage, UniqueFd owned = {});

  /// Those who have ended without leave(), or whose owner has. `slots`: who has no owner.
  [[nodiscard]] std::vector<Tenant> gone(const std::vector<Slot>& slots);
  [[nodiscard]] bool is_gone(const Tenant& tenant) const;

  /// To look for them without the lock.
  [[nodiscard]] Owners owners() const;

  /// All of them.
  [[nodiscard]] std::vector<Tenant> tenants() const;
  [[nodiscard]] bool is_empty() const;

  [[nodiscard]] std::optional<NameRecord> name(const std::string& name) const;
  [[nodiscard]] std::optional<Tenant> tenant(Slot slot) const;
  void forget(const std::string& name);

  /// Removes the directories as far as nothing is in them.
  void tidy() noexcept;

 private:
  void remove_directories() noexcept;
  UniqueFd enter_at(Tenant& tenant, Slot slot);
  Slot find_free(Slot last);
  void keep(const std::string& name, Slot slot);
  void write_state(const std::string& name, const std::string& text);

  std::string run_path_;
  UniqueFd run_;  // the book of what is in use, locked
  Owners owners_;
  UniqueFd state_;  // what lasts
};

NetworkUsage add(const NetworkUsage& one, const NetworkUsage& other);

}  // namespace sbx::detail
