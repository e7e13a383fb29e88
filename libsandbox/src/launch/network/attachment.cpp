// SPDX-License-Identifier: Apache-2.0
#include "launch/network/attachment.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <utility>

#include "launch/network/address_book.hpp"
#include "launch/network/host_ports.hpp"
#include "launch/network/host_setup.hpp"
#include "launch/network/tenant.hpp"
#include "launch/network/tenant_links.hpp"
#include "launch/network/wall.hpp"
#include "sbx/namespace.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kLongestName = 64;

/// Of what is undone because of an error nothing is told but that error.
template <typename Undo>
void undo(Undo work) noexcept {
  try {
    work();
  } catch (const std::exception&) {
    // The next one who connects a sandbox does it.
  }
}

constexpr const char* kAttempt = "cannot give the sandbox a network of the host's";

/// Of the user namespace that the network belongs to: with those in another one, as in a container,
/// nothing can be done here.
void require_owner(const Namespace& host) {
  const UniqueFd owner(::ioctl(host.fd(), NS_GET_USERNS));
  if (owner || errno != EPERM) return;
  throw SystemError(EPERM, kAttempt, "it is of another user namespace than the caller's");
}

/// By capget(2): to read all sets from /proc takes as long as thirty other calls of a start.
void require_rights() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  check(raw::capget(&header, sets), "cannot read the caller's capabilities");
  const auto has = [&sets](unsigned right) { return (sets[0].effective >> right & 1U) != 0; };
  if (has(CAP_NET_ADMIN) && has(CAP_SYS_ADMIN)) return;
  throw SystemError(EPERM, kAttempt,
                    "it takes CAP_NET_ADMIN and CAP_SYS_ADMIN, as root has; pasta needs neither");
}

bool is_missing(const SystemError& error) { return error.code().value() == ENOENT; }

/// Ends what the kernel remembers of the tenant's connections: whoever has the addresses next would
/// get through with their packets, whatever he may. Nothing has passed in those that are not.
void close_doors(const TenantAddresses& self, const std::optional<NetworkUsage>& usage,
                 ConnectionTracking& tracking) {
  const TrafficCount nothing;
  const IpPrefix ipv4{self.ipv4, self.ipv4.bits()};
  const IpPrefix ipv6{self.ipv6, self.ipv6.bits()};
  if (!usage || usage->internet4 != nothing) tracking.forget_begun_by(ipv4);
  if (!usage || usage->internet6 != nothing) tracking.forget_begun_by(ipv6);
  if (!usage || usage->published4 != nothing) tracking.forget_answered_by(ipv4);
  if (!usage || usage->published6 != nothing) tracking.forget_answered_by(ipv6);
}

/// Takes what is left of `tenant` out of the walls and out of the book. `owned`: see
/// AddressBook::leave().
NetworkUsage take_out(AddressBook& book, const Wall& wall, const Tenant& tenant,
                      Conversations& kernel, UniqueFd owned = {}) {
  std::optional<NetworkUsage> usage;
  try {
    usage = read_usage(kernel.tables, wall, tenant);
    nft::Batch batch;
    dismiss(batch, wall, tenant);
    kernel.tables.commit(batch);
    forget_connections(kernel.tables, wall, tenant);
  } catch (const SystemError& error) {
    if (!is_missing(error)) throw;  // it had not come so far, or somebody has removed the walls
  }
  TenantLinks(wall, tenant, kernel).remove_way();
  close_doors(TenantAddresses(wall.names, wall.pools, tenant), usage, kernel.tracking);
  book.leave(tenant, usage.value_or(NetworkUsage()), std::move(owned));
  return usage.value_or(NetworkUsage());
}

/// Takes those of `slots` out that nobody else will. Returns how many these were.
std::size_t sweep(AddressBook& book, const Wall& wall, const std::vector<Slot>& slots,
                  Conversations& kernel) {
  std::size_t taken_out = 0;
  for (const Tenant& tenant : book.gone(slots)) {
    try {
      take_out(book, wall, tenant, kernel);
      ++taken_out;
    } catch (const SystemError&) {
      // It is tried again: whoever starts now has no part in it.
    }
  }
  return taken_out;
}

/// Whether it may be somebody who was killed who has what was asked for.
bool is_taken(const SystemError& error) {
  const int value = error.code().value();
  return value == EADDRINUSE || value == EBUSY || value == ENOSPC;
}

/// Says whose a port is, where the kernel only knows that it is somebody's.
void require_free_ports(const AddressBook& book, const Tenant& self) {
  for (const Tenant& other : book.tenants()) {
    for (const PublishedPort& theirs : other.network.publish) {
      if (other.slot == self.slot) break;
      for (const PublishedPort& ours : self.network.publish) {
        if (ours.host_port != theirs.host_port || ours.protocol != theirs.protocol ||
            ours.address != theirs.address) {
          continue;
        }
        throw SystemError(
            EADDRINUSE, fmt::format("cannot publish '{}'", ours.to_string()),
            fmt::format("the sandbox {} has '{}'",
                        other.network.name.empty() ? std::to_string(other.slot)
                                                   : "'" + printable(other.network.name) + "'",
                        theirs.to_string()));
      }
    }
  }
}

void commit_admission(AddressBook& book, const Network& network, const HostRecord& record,
                      const Wall& wall, const Tenant& tenant, Conversations& kernel) {
  nft::Batch batch;
  admit(batch, wall, tenant);
  try {
    kernel.tables.commit(batch);
  } catch (const SystemError& error) {
    if (error.code().value() == EEXIST) require_free_ports(book, tenant);
    if (!is_missing(error)) throw;
    rebuild_walls(book, network.host, record, kernel);
  }
}

/// Who waits for a sandbox may be elsewhere than who has started it.
template <typename Work>
auto on(const Namespace& host, Work work) {
  if (Namespace::current(NamespaceKind::kNet).inode() == host.inode()) return work();
  return host.run(work);
}

}  // namespace

struct Attachment::State {
  void prepare(AddressBook& book);
  void enter(AddressBook& book);
  NetworkUsage leave();

  Namespace host = Namespace::current(NamespaceKind::kNet);
  std::uint64_t cookie = 0;             // of that
  std::optional<Conversations> kernel;  // until it is connected
  Wall wall;
  Tenant tenant;
  UniqueFd owned;
  Owners owners;
  HostRecord record;
};

void Attachment::State::prepare(AddressBook& book) {
  const Network& network = tenant.network;
  record = set_up_host(book, network.host, *kernel);
  wall = {names_of(network.host), record.pools};
  if (network.mode == Network::Mode::kBridge) set_up_bridge(book, wall, record, *kernel);
  owners = book.owners();
  require_silent_ports(network);
}

void Attachment::State::enter(AddressBook& book) {
  owned = book.enter(tenant, record.pools);
  try {
    TenantLinks(wall, tenant, *kernel).remove_former();
    commit_admission(book, tenant.network, record, wall, tenant, *kernel);
  } catch (const std::exception&) {
    undo([&] { take_out(book, wall, tenant, *kernel, std::move(owned)); });
    throw;
  }
}

NetworkUsage Attachment::State::leave() {
  // Its end can take a grace period of the kernel's: others need not wait for that with the book.
  Conversations conversations;
  AddressBook book(tenant.network.host, cookie);
  NetworkUsage usage;
  try {
    usage = take_out(book, wall, tenant, conversations, std::move(owned));
  } catch (const std::exception&) {
    undo([&] { take_down_host(book, tenant.network.host, conversations); });
    throw;
  }
  take_down_host(book, tenant.network.host, conversations);
  return usage;
}

Attachment::Attachment(const Network& network) : state_(std::make_unique<State>()) {
  require_rights();
  require_owner(state_->host);
  state_->tenant.network = network;
  Conversations& kernel = state_->kernel.emplace();
  state_->cookie = kernel.links.namespace_cookie();
  AddressBook book(network.host, state_->cookie);
  try {
    state_->prepare(book);
    try {
      state_->enter(book);
    } catch (const SystemError& error) {
      if (!is_taken(error)) throw;
      if (sweep(book, state_->wall, state_->owners.left(true), kernel) == 0) throw;
      state_->enter(book);
    }
  } catch (const std::exception&) {
    undo([&] { take_down_host(book, network.host, kernel); });
    throw;
  }
}

void Attachment::connect(pid_t pid, UniqueFd inside) {
  const Tenant& tenant = state_->tenant;
  const bool to_loopback = !tenant.network.publish.empty() || asks_loopback(state_->record);
  TenantLinks(state_->wall, tenant, *state_->kernel)
      .connect(Namespace::of(pid, NamespaceKind::kNet), std::move(inside), to_loopback);
}

void Attachment::finish() noexcept {
  try {
    const std::vector<Slot> left = state_->owners.left(false);
    if (!left.empty()) {
      AddressBook book(state_->tenant.network.host, state_->cookie);
      sweep(book, state_->wall, left, *state_->kernel);
    }
  } catch (const std::exception&) {
    // The next one looks again.
  }
  try {
    look_for_walls(state_->record, state_->tenant.network.host, state_->wall.names,
                   *state_->kernel);
  } catch (const std::exception&) {
    // Likewise.
  }
  state_->kernel.reset();
  state_->owners = Owners();
}

Attachment::Attachment(Attachment&&) noexcept = default;
Attachment& Attachment::operator=(Attachment&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Attachment::~Attachment() {
  try {
    end();
  } catch (const std::exception&) {
    // The next one who connects a sandbox takes it back.
  }
}

const std::vector<std::string>& Attachment::warnings() const { return state_->record.warnings; }

NetworkUsage Attachment::end() {
  const auto state = std::exchange(state_, nullptr);
  if (!state) return {};
  return on(state->host, [&state] { return state->leave(); });
}

void Attachment::release(pid_t pid) {
  Tenant& tenant = state_->tenant;
  tenant.released = {.pid = pid,
                     .pid_namespace = Namespace::current(NamespaceKind::kPid).inode(),
                     .net_namespace = Namespace::of(pid, NamespaceKind::kNet).inode()};
  AddressBook(tenant.network.host, state_->cookie).release(tenant, state_->owned);
  state_.reset();
}

void check_network(const Network& network) {
  const std::string& name = network.name;
  if (name.size() > kLongestName || name.find('/') != std::string::npos || name.starts_with('.') ||
      printable(name) != name) {
    throw std::invalid_argument(fmt::format(
        "'{}' is no name for a network: at most {} bytes of UTF-8, no '/', no dot in front",
        printable(name), kLongestName));
  }
  if (network.connections_max == 0) {
    throw std::invalid_argument("a network without a single connection is none");
  }
  for (std::size_t i = 0; i < network.publish.size(); ++i) {
    const PublishedPort& one = network.publish[i];
    if (one.host_port == 0 || one.inner_port == 0) {
      throw std::invalid_argument("port 0 cannot be published");
    }
    for (std::size_t j = 0; j < i; ++j) {
      const PublishedPort& other = network.publish[j];
      if (one.host_port == other.host_port && one.protocol == other.protocol &&
          one.address == other.address) {
        throw std::invalid_argument(fmt::format("'{}' and '{}' publish one port twice",
                                                other.to_string(), one.to_string()));
      }
    }
  }
}

}  // namespace sbx::detail

namespace sbx {

std::optional<NetworkUsage> network_usage(const HostNetwork& host, const std::string& name) {
  detail::AddressBook book(host);
  const auto record = book.name(name);
  if (!record) {
    if (book.is_empty() && !book.host()) book.tidy();
    return std::nullopt;
  }
  NetworkUsage usage = record->usage;
  const auto tenant = book.tenant(record->slot);
  const auto set_up = book.host();
  if (tenant && tenant->network.name == name && set_up) {
    const detail::Wall wall{detail::names_of(host), set_up->pools};
    usage = detail::add(usage, detail::read_usage(nft::Nftables(), wall, *tenant));
  }
  return usage;
}

void forget_network(const HostNetwork& host, const std::string& name) {
  detail::AddressBook book(host);
  const auto record = book.name(name);
  const auto tenant = record ? book.tenant(record->slot) : std::nullopt;
  if (tenant && tenant->network.name == name && !book.is_gone(*tenant)) {
    throw SystemError(EBUSY, fmt::format("cannot forget the addresses of '{}'", name),
                      "a sandbox of that name has them");
  }
  book.forget(name);
}

}  // namespace sbx
