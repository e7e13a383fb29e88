// SPDX-License-Identifier: Apache-2.0
#include "launch/network/address_book.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "kernel/netlink/socket.hpp"
#include "launch/network/book_files.hpp"
#include "launch/network/last_parsed.hpp"
#include "launch/network/tenant_json.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::detail {
namespace {

constexpr int kGuesses = 64;
constexpr const char* kBooks = ".network";  // one for each network namespace
constexpr const char* kHost = "host";
constexpr const char* kPools = "pools";
constexpr const char* kTenants = "tenants";
constexpr const char* kNames = "names";
constexpr const char* kSlots = "slots";

/// One file for each tenant, in the book of what is in use.
std::string entry_of(Slot slot) { return fmt::format("{}/{}", kTenants, slot); }
/// In what lasts: one file for each name, and one symbolic link for each of their slots, to the
/// name.
std::string file_of(const std::string& name) { return fmt::format("{}/{}", kNames, name); }
std::string link_of(Slot slot) { return fmt::format("{}/{}", kSlots, slot); }

template <typename Parse>
auto parse_text(const std::string& text, const UniqueFd& directory, const std::string& name,
                Parse parse) {
  try {
    return parse(text);
  } catch (const std::exception&) {
    throw SystemError(EBADMSG, fmt::format("cannot read '{}'", place_of(directory.get(), name)),
                      "it is damaged: remove it");
  }
}

template <typename Parse>
auto parse_file(const UniqueFd& directory, const std::string& name, Parse parse)
    -> std::optional<decltype(parse(std::string()))> {
  const auto text = read_file(directory, name);
  if (!text) return std::nullopt;
  return parse_text(*text, directory, name, parse);
}

Slot random_slot(Slot last) {
  std::uint32_t value = 0;
  if (::getrandom(&value, sizeof value, 0) < 0) throw_errno("cannot get random bytes");
  return kFirstSlot + value % (last - kFirstSlot + 1);
}

/// Whether the sandbox runs. In another pid namespace nobody can tell: it is left to whoever is at
/// home there.
bool runs(const Released& sandbox) {
  struct stat status {};
  if (::stat("/proc/self/ns/pid", &status) < 0 || status.st_ino != sandbox.pid_namespace) {
    return true;
  }
  const std::string path = fmt::format("/proc/{}/ns/net", sandbox.pid);
  return ::stat(path.c_str(), &status) == 0 && status.st_ino == sandbox.net_namespace;
}

}  // namespace

NetworkUsage add(const NetworkUsage& one, const NetworkUsage& other) {
  const auto sum = [](const TrafficCount& a, const TrafficCount& b) -> TrafficCount {
    return {
        .received = {a.received.bytes + b.received.bytes, a.received.packets + b.received.packets},
        .sent = {a.sent.bytes + b.sent.bytes, a.sent.packets + b.sent.packets}};
  };
  return {.internet4 = sum(one.internet4, other.internet4),
          .internet6 = sum(one.internet6, other.internet6),
          .published4 = sum(one.published4, other.published4),
          .published6 = sum(one.published6, other.published6),
          .forged_packets = one.forged_packets + other.forged_packets};
}

AddressBook::AddressBook(const HostNetwork& host)
    : AddressBook(host,
                  namespace_cookie(UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)))) {}

AddressBook::AddressBook(const HostNetwork& host, std::uint64_t namespace_cookie) {
  const std::string place = fmt::format("{}/{}", kBooks, namespace_cookie);
  const std::string top = normal_path(host.run_directory);
  run_path_ = fmt::format("{}/{}", top, place);
  try {
    run_ = lock_directory(own_top(top), place);
    owners_ = owners();
    state_ = directory_below(own_top(normal_path(host.state_directory)), "network");
  } catch (const std::exception&) {
    remove_directories();
    throw;
  }
}

Owners AddressBook::owners() const { return Owners(directory_below(run_, ".")); }

std::optional<HostRecord> AddressBook::host() const {
  // Who starts many sandboxes finds the same each time, and would take longer to parse it than for
  // all else in the book.
  static auto& last = *new LastParsed<HostRecord>;
  auto text = read_file(run_, kHost);
  if (!text) return std::nullopt;
  return last.get(std::move(*text), [this](const std::string& changed) {
    return parse_text(changed, run_, kHost, host_from_json);
  });
}

void AddressBook::write_host(const HostRecord& record) {
  make_directory(run_.get(), kTenants);
  write_file(run_, kHost, to_json(record));
}

void AddressBook::remove_host() { remove_file(run_, kHost); }

std::optional<Pools> AddressBook::pools() const {
  return parse_file(state_, kPools, pools_from_json);
}

void AddressBook::write_pools(const Pools& pools) { write_state(kPools, to_json(pools)); }

/// The books of other network namespaces may have the same.
void AddressBook::write_state(const std::string& name, const std::string& text) {
  const DirectoryLock lock(state_);
  write_file(state_, name, text);
}

UniqueFd AddressBook::enter_at(Tenant& tenant, Slot slot) {
  tenant.slot = slot;
  // Each entry has an owner, or has had one: so nobody's is overlooked.
  UniqueFd owned = owners_.add(slot);
  try {
    create_file(run_, entry_of(slot), to_json(tenant));
  } catch (const SystemError&) {
    owners_.remove(slot, std::move(owned));
    throw;
  }
  return owned;
}

/// A slot that nobody has, and that is nobody's when he comes back; else, of those that wait for
/// somebody to come back, the one that has waited longest.
Slot AddressBook::find_free(Slot last) {
  const auto is_used = [&](Slot slot) { return has_file(run_, entry_of(slot)); };
  const auto is_kept = [&](Slot slot) { return has_file(state_, link_of(slot)); };
  for (int guess = 0; guess < kGuesses; ++guess) {
    const Slot slot = random_slot(last);
    if (!is_used(slot) && !is_kept(slot)) return slot;
  }
  std::optional<std::pair<timespec, Slot>> oldest;
  for (Slot slot = kFirstSlot; slot <= last; ++slot) {
    if (is_used(slot)) continue;
    struct stat status {};
    if (::fstatat(state_.get(), link_of(slot).c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      return slot;
    }
    const auto is_older = [](const timespec& a, const timespec& b) {
      return std::pair(a.tv_sec, a.tv_nsec) < std::pair(b.tv_sec, b.tv_nsec);
    };
    if (!oldest || is_older(status.st_mtim, oldest->first)) oldest = {status.st_mtim, slot};
  }
  if (!oldest) {
    throw SystemError(ENOSPC, "cannot give the sandbox an address",
                      fmt::format("all {} of the pool are in use", last - kFirstSlot + 1));
  }
  forget(read_link(state_, link_of(oldest->second)));
  remove_file(state_, link_of(oldest->second));
  return oldest->second;
}

void AddressBook::keep(const std::string& name, Slot slot) {
  const std::string link = link_of(slot);
  for (const char* directory : {kNames, kSlots}) make_directory(state_.get(), directory);
  // First the slot, which keeps others away from it; then the name, which makes it good.
  if (::symlinkat(name.c_str(), state_.get(), link.c_str()) < 0 && errno != EEXIST) {
    throw_failed("make the link", state_.get(), link);
  }
  try {
    write_state(file_of(name), to_json(NameRecord{.slot = slot, .usage = {}}));
  } catch (const SystemError&) {
    ::unlinkat(state_.get(), link.c_str(), 0);
    throw;
  }
}

UniqueFd AddressBook::enter(Tenant& tenant, const Pools& pools) {
  const Slot last = last_slot(pools);
  const std::string& name = tenant.network.name;
  if (name.empty()) return enter_at(tenant, find_free(last));
  auto record = this->name(name);
  if (record && (record->slot > last || read_link(state_, link_of(record->slot)) != name)) {
    record.reset();
  }
  const Slot slot = record ? record->slot : find_free(last);
  if (!record) keep(name, slot);
  if (has_file(run_, entry_of(slot))) {
    throw SystemError(EBUSY, fmt::format("cannot give '{}' its addresses", printable(name)),
                      "a sandbox of that name has them");
  }
  return enter_at(tenant, slot);
}

void AddressBook::release(const Tenant& tenant, const UniqueFd& owned) {
  write_file(run_, entry_of(tenant.slot), to_json(tenant));
  Owners::release(tenant.slot, owned);
}

void AddressBook::leave(const Tenant& tenant, const NetworkUsage& usage, UniqueFd owned) {
  const std::string& name = tenant.network.name;
  const std::string entry = entry_of(tenant.slot);
  try {
    auto record = name.empty() ? std::nullopt : this->name(name);
    if (record && record->slot == tenant.slot) {
      record->usage = add(record->usage, usage);
      write_state(file_of(name), to_json(*record));
    }
  } catch (const SystemError&) {
    remove_file(run_, entry);  // on a full disk it is only the counts that are lost
    owners_.remove(tenant.slot, std::move(owned));
    throw;
  }
  remove_file(run_, entry);
  owners_.remove(tenant.slot, std::move(owned));
}

std::optional<Tenant> AddressBook::tenant(Slot slot) const {
  return parse_file(run_, entry_of(slot), tenant_from_json);
}

std::vector<Tenant> AddressBook::gone(const std::vector<Slot>& slots) {
  std::vector<Tenant> found;
  for (const Slot slot : slots) {
    auto tenant = this->tenant(slot);
    if (tenant && is_gone(*tenant)) found.push_back(std::move(*tenant));
    // Its owner was killed between the two.
    if (!tenant && !owners_.has_owner(slot)) owners_.remove(slot);
  }
  return found;
}

bool AddressBook::is_gone(const Tenant& tenant) const {
  return !owners_.has_owner(tenant.slot) && (!tenant.released || !runs(*tenant.released));
}

std::vector<Tenant> AddressBook::tenants() const {
  std::vector<Tenant> all;
  walk(run_, kTenants, [&](const std::string& file) {
    if (const auto slot = parse_unsigned(file, kLastSlot)) {
      if (auto found = tenant(static_cast<Slot>(*slot))) all.push_back(*found);
    }
    return true;
  });
  return all;
}

bool AddressBook::is_empty() const {
  return !walk(run_, kTenants, [](const std::string&) { return false; });
}

std::optional<NameRecord> AddressBook::name(const std::string& name) const {
  if (name.empty()) return std::nullopt;
  return parse_file(state_, file_of(name), name_from_json);
}

void AddressBook::forget(const std::string& name) {
  const auto record = this->name(name);
  if (!record) return;
  const std::string link = link_of(record->slot);
  remove_file(state_, file_of(name));
  if (read_link(state_, link) == name) remove_file(state_, link);
}

void AddressBook::tidy() noexcept {
  for (const std::string& name : {std::string(kHost), entry_of(0)}) remove_unfinished(run_, name);
  owners_.tidy();
  remove_directories();
}

void AddressBook::remove_directories() noexcept {
  // The book's own goes under its lock alone, and not before what it has of the host.
  if (run_ && !has_file(run_, kHost)) {
    ::unlinkat(run_.get(), kTenants, AT_REMOVEDIR);
    ::rmdir(run_path_.c_str());
  }
  ::rmdir(run_path_.substr(0, run_path_.rfind('/')).c_str());
}

}  // namespace sbx::detail
