// SPDX-License-Identifier: Apache-2.0
//
// Who has which addresses. Two directories are kept: one of what is in use now, one of what a name
// gets again when it comes back.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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
  std::vector<std::string> name_servers;
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

/// The book of the calling thread's network namespace, open, and locked against all others who
/// would write in it. Everything that is written is there when the call returns, or is as it was:
/// whoever writes may be killed at any time.
class AddressBook {
 public:
  /// Waits for the lock. Makes the directories.
  explicit AddressBook(const HostNetwork& host);

  /// None before the network is set up.
  [[nodiscard]] std::optional<HostRecord> host() const;
  void write_host(const HostRecord& record);
  void remove_host();

  /// Those that were given away before; of a HostNetwork that names some, these.
  [[nodiscard]] std::optional<Pools> pools() const;
  void write_pools(const Pools& pools);

  /// Gives `tenant` a slot: that of its name, or a free one. Throws SystemError: EBUSY when a
  /// tenant has the name's, ENOSPC when none is free.
  void enter(Tenant& tenant, const Pools& pools);

  /// Takes the tenant out, and adds `usage` to what its name has used.
  void leave(const Tenant& tenant, const NetworkUsage& usage);

  /// Those whose sandbox has ended without leave(). Looks at `most` of the entries, the next ones
  /// each time.
  [[nodiscard]] std::vector<Tenant> gone(std::size_t most);

  /// All of them.
  [[nodiscard]] std::vector<Tenant> tenants() const;
  [[nodiscard]] bool is_empty() const;

  [[nodiscard]] std::optional<NameRecord> name(const std::string& name) const;
  [[nodiscard]] std::optional<Tenant> tenant(Slot slot) const;
  void forget(const std::string& name);

  /// Removes the directories as far as nothing is in them.
  void tidy() noexcept;

 private:
  bool try_enter(Tenant& tenant, Slot slot);
  Slot find_free(Slot last);
  void keep(const std::string& name, Slot slot);

  std::filesystem::path run_path_;
  UniqueFd run_;      // the book of what is in use, locked
  UniqueFd entries_;  // one file for each tenant
  UniqueFd state_;    // what lasts
  UniqueFd names_;    // one file for each name
  UniqueFd slots_;    // one symbolic link for each of their slots, to the name
};

NetworkUsage add(const NetworkUsage& one, const NetworkUsage& other);

/// Whether the network namespace of the tenant's process 1 is still there.
bool is_alive(const Tenant& tenant);

}  // namespace sbx::detail
