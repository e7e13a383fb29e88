// SPDX-License-Identifier: Apache-2.0
//
// Hosts for sandboxes, each a network namespace of the bench's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/floor/network.h"
#include "bench/measure.hpp"
#include "launch/network/attachment.hpp"
#include "launch/network/tenant.hpp"
#include "launch/network/wall.hpp"
#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"
#include "sbx/network.hpp"

namespace sbx::bench {

/// A network namespace with a process in it, as a sandbox has one. The process makes it, and opens
/// a socket of NETLINK_ROUTE in there, while the caller goes on. Ends with the thread that made it.
class Inside {
 public:
  Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  Inside(Inside&&) = delete;
  Inside& operator=(Inside&&) = delete;
  ~Inside();

  /// These wait for the namespace.
  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] Namespace network() const { return Namespace::of(pid(), NamespaceKind::kNet); }

  /// The socket; once.
  [[nodiscard]] UniqueFd socket();

 private:
  static void live(void* self) noexcept;

  std::unique_ptr<std::byte[]> stack_;
  UniqueFd pidfd_;
  int pid_ = -1;
  long socket_ = 0;         // or -errno
  std::uint32_t made_ = 0;  // whether the process has come so far
};

/// Moves the calling thread into a network namespace for a while.
class Entered {
 public:
  explicit Entered(const Namespace& there) { there.enter(); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  Entered(Entered&&) = delete;
  Entered& operator=(Entered&&) = delete;
  ~Entered() { before_.enter(); }

 private:
  Namespace before_ = Namespace::current(NamespaceKind::kNet);
};

/// What a host keeps in memory, as it does /run.
class MemoryDir {
 public:
  MemoryDir();
  MemoryDir(const MemoryDir&) = delete;
  MemoryDir& operator=(const MemoryDir&) = delete;
  MemoryDir(MemoryDir&&) = delete;
  MemoryDir& operator=(MemoryDir&&) = delete;
  ~MemoryDir();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A host, and one outside, to which it has a link.
class Place {
 public:
  Place();

  static constexpr const char* kOutside = "198.51.100.1";

  Namespace host;
  Namespace outside;

  /// A network of the host's, with directories and pools of its own.
  [[nodiscard]] Network network(Network::Mode mode) const;
  [[nodiscard]] detail::Wall wall() const;

  /// How many links the host has.
  [[nodiscard]] std::size_t count_links() const;

  /// The microseconds that `body` takes on the host: on the caller's thread, which has its memory
  /// already, as one that starts sandboxes has.
  template <typename F>
  double time(F body) const {
    const Entered here(host);
    const auto start = Clock::now();
    body();
    return microseconds_since(start);
  }

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  MemoryDir folder_;
};

/// Whether the kernel is about to end network namespaces, anybody's. False where its threads cannot
/// be seen.
bool kernel_ends_networks();

/// Sandboxes that have their place on a host. Those that last end together, without a word to it.
class Tenants {
 public:
  Tenants(const Place& place, Network::Mode mode) : place_(place), mode_(mode) {}
  Tenants(const Tenants&) = delete;
  Tenants& operator=(const Tenants&) = delete;
  Tenants(Tenants&&) = delete;
  Tenants& operator=(Tenants&&) = delete;
  ~Tenants();

  [[nodiscard]] std::size_t size() const { return attachments_.size(); }
  [[nodiscard]] const Inside& operator[](std::size_t number) const { return *inside_[number]; }

  /// KiB of the kernel's memory that each new one takes.
  struct Growth {
    double namespaces = 0;  ///< empty
    double places = 0;      ///< and connected
  };
  Growth grow(std::size_t to);

 private:
  const Place& place_;
  Network::Mode mode_;
  std::vector<std::unique_ptr<Inside>> inside_;
  std::vector<detail::Attachment> attachments_;
};

/// The names and addresses of a tenant that is in nobody's book, as the floor wants them. Lives as
/// long as that needs them.
class FloorTenant {
 public:
  FloorTenant(const Place& place, Network::Mode mode, detail::Slot slot);

  /// What needs no namespace yet; and the rest.
  void enter() const;
  void connect(Inside& inside);
  void leave() const;

  [[nodiscard]] const detail::TenantAddresses& addresses() const { return addresses_; }
  [[nodiscard]] const detail::Wall& wall() const { return wall_; }

 private:
  detail::Wall wall_;
  detail::TenantAddresses addresses_;
  floor_network floor_{};
};

}  // namespace sbx::bench
