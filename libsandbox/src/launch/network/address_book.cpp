// SPDX-License-Identifier: Apache-2.0
#include "launch/network/address_book.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "launch/network/tenant_json.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kGuesses = 64;
constexpr int kAttempts = 100;
constexpr const char* kHost = "host";
constexpr const char* kPools = "pools";
constexpr const char* kNew = ".new";  // what is not yet whole

/// Where the file is, for messages.
std::string place_of(int directory, const std::string& name) {
  if (directory == AT_FDCWD) return printable(name);
  std::error_code unknown;
  const fs::path parent = fs::read_symlink(fmt::format("/proc/self/fd/{}", directory), unknown);
  return printable((parent / name).native());
}

/// For the errno of the call that has just failed.
[[noreturn]] void throw_failed(const char* attempt, int directory, const std::string& name) {
  const int error = errno;
  throw SystemError(error, fmt::format("cannot {} '{}'", attempt, place_of(directory, name)));
}

/// Opens a directory that is the caller's and that nobody else may write to; makes it first.
UniqueFd own_directory(int parent, const std::string& name) {
  const auto open = [&] {
    return UniqueFd(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  UniqueFd fd = open();
  if (!fd && errno == ENOENT) {
    if (::mkdirat(parent, name.c_str(), 0700) < 0 && errno != EEXIST) {
      throw_failed("make the directory", parent, name);
    }
    fd = open();
  }
  if (!fd) throw_failed("open the directory", parent, name);
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) throw_failed("look at", parent, name);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw SystemError(EPERM, fmt::format("cannot use the directory '{}'", place_of(parent, name)),
                      "it must be the caller's, and nobody else may write to it");
  }
  return fd;
}

/// The one by which a book begins.
UniqueFd own_top(const fs::path& top) {
  const fs::path path = fs::absolute(top).lexically_normal();
  if (path.has_parent_path()) {
    std::error_code ignored;  // the next step says it better
    fs::create_directories(path.parent_path(), ignored);
  }
  return own_directory(AT_FDCWD, path.native());
}

/// A directory below one that is the caller's, where nobody else can have made it.
UniqueFd directory_below(const UniqueFd& top, const fs::path& path) {
  UniqueFd found(
      ::openat(top.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (found) return found;
  int parent = top.get();
  for (const fs::path& name : path) {
    found = own_directory(parent, name.native());
    parent = found.get();
  }
  return found;
}

/// Locked; whoever had the lock before may have tidied it away.
UniqueFd lock_directory(const UniqueFd& top, const fs::path& path) {
  for (int attempt = 1;; ++attempt) {
    UniqueFd found;
    try {
      found = directory_below(top, path);
    } catch (const SystemError& error) {
      if (error.code().value() != ENOENT || attempt == kAttempts) throw;
      continue;  // while it was made
    }
    while (::flock(found.get(), LOCK_EX) < 0) {
      if (errno != EINTR) throw_errno("cannot lock the book of addresses");
    }
    struct stat status {};
    if (::fstat(found.get(), &status) == 0 && status.st_nlink > 0) return found;
  }
}

/// What tells the calling thread's network namespace from all others since the machine's start.
std::string namespace_cookie() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0) {
    throw_errno("cannot identify the network namespace");
  }
  return std::to_string(cookie);
}

/// None when the file is not there.
std::optional<std::string> read_file(const UniqueFd& directory, const std::string& name) {
  const UniqueFd fd(::openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return std::nullopt;
  std::string text;
  std::array<char, 4096> bytes{};
  for (ssize_t size = -1; fd && size != 0;) {
    size = ::read(fd.get(), bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) throw_errno("cannot read '{}' in the book of addresses", name);
    if (size > 0) text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  if (!fd) throw_errno("cannot open '{}' in the book of addresses", printable(name));
  return text;
}

template <typename Parse>
auto parse_file(const UniqueFd& directory, const std::string& name, Parse parse)
    -> std::optional<decltype(parse(std::string()))> {
  const auto text = read_file(directory, name);
  if (!text) return std::nullopt;
  try {
    return parse(*text);
  } catch (const std::exception&) {
    throw SystemError(EBADMSG, fmt::format("cannot read '{}'", place_of(directory.get(), name)),
                      "it is damaged: remove it");
  }
}

void write_new(const UniqueFd& directory, const std::string& name, const std::string& text) {
  const UniqueFd fd(
      ::openat(directory.get(), kNew, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const ssize_t size = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  if (size == static_cast<ssize_t>(text.size())) return;
  const int error = size < 0 ? errno : ENOSPC;
  ::unlinkat(directory.get(), kNew, 0);
  throw SystemError(error, fmt::format("cannot write '{}'", place_of(directory.get(), name)));
}

/// The file is the old one, or the whole new one.
void write_file(const UniqueFd& directory, const std::string& name, const std::string& text) {
  write_new(directory, name, text);
  if (::renameat(directory.get(), kNew, directory.get(), name.c_str()) < 0) {
    throw_failed("write", directory.get(), name);
  }
}

void remove_file(const UniqueFd& directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    throw_errno("cannot remove '{}' from the book of addresses", printable(name));
  }
}

bool has(const UniqueFd& directory, const std::string& name) {
  struct stat status {};
  return ::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/// What the symbolic link leads to; empty when there is none.
std::string read_link(const UniqueFd& directory, const std::string& name) {
  std::array<char, 256> text{};
  const ssize_t size = ::readlinkat(directory.get(), name.c_str(), text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

Slot random_slot(Slot last) {
  std::uint32_t value = 0;
  if (::getrandom(&value, sizeof value, 0) < 0) throw_errno("cannot get random bytes");
  return kFirstSlot + value % (last - kFirstSlot + 1);
}

/// Passes the names of files on, until `each` says false; whether it did. By getdents64(2), because
/// readdir(3) reads hundreds ahead, of which who asks whether there is any wants one.
template <typename Each>
bool walk(const UniqueFd& directory, Each each) {
  const UniqueFd copy(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy) throw_errno("cannot read the book of addresses");
  alignas(dirent64) std::array<char, 512> bytes{};
  for (;;) {
    const ssize_t size = ::getdents64(copy.get(), bytes.data(), bytes.size());
    if (size < 0) throw_errno("cannot read the book of addresses");
    if (size == 0) return false;
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(bytes.data() + at);
      at += entry->d_reclen;
      if (entry->d_name[0] != '.' && !each(std::string(entry->d_name))) return true;
    }
  }
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

AddressBook::AddressBook(const HostNetwork& host) {
  const fs::path place = fs::path(".network") / namespace_cookie();
  run_path_ = host.run_directory / place;
  try {
    run_ = lock_directory(own_top(host.run_directory), place);
    entries_ = directory_below(run_, "tenants");
    owners_ = owners();
    state_ = directory_below(own_top(host.state_directory), "network");
    names_ = directory_below(state_, "names");
    slots_ = directory_below(state_, "slots");
  } catch (const std::exception&) {
    remove_directories();
    throw;
  }
}

Owners AddressBook::owners() const { return Owners(directory_below(run_, ".")); }

std::optional<HostRecord> AddressBook::host() const {
  return parse_file(run_, kHost, host_from_json);
}

void AddressBook::write_host(const HostRecord& record) { write_file(run_, kHost, to_json(record)); }

void AddressBook::remove_host() { remove_file(run_, kHost); }

std::optional<Pools> AddressBook::pools() const {
  return parse_file(state_, kPools, pools_from_json);
}

void AddressBook::write_pools(const Pools& pools) { write_file(state_, kPools, to_json(pools)); }

UniqueFd AddressBook::enter_at(Tenant& tenant, Slot slot) {
  tenant.slot = slot;
  // Each entry has an owner, or has had one: so nobody's is overlooked.
  UniqueFd owned = owners_.add(slot);
  try {
    write_file(entries_, std::to_string(slot), to_json(tenant));
  } catch (const SystemError&) {
    owners_.remove(slot, std::move(owned));
    throw;
  }
  return owned;
}

/// A slot that nobody has, and that is nobody's when he comes back; else, of those that wait for
/// somebody to come back, the one that has waited longest.
Slot AddressBook::find_free(Slot last) {
  const auto is_used = [&](Slot slot) { return has(entries_, std::to_string(slot)); };
  const auto is_kept = [&](Slot slot) { return has(slots_, std::to_string(slot)); };
  for (int guess = 0; guess < kGuesses; ++guess) {
    const Slot slot = random_slot(last);
    if (!is_used(slot) && !is_kept(slot)) return slot;
  }
  std::optional<std::pair<timespec, Slot>> oldest;
  for (Slot slot = kFirstSlot; slot <= last; ++slot) {
    if (is_used(slot)) continue;
    struct stat status {};
    if (::fstatat(slots_.get(), std::to_string(slot).c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
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
  forget(read_link(slots_, std::to_string(oldest->second)));
  remove_file(slots_, std::to_string(oldest->second));
  return oldest->second;
}

void AddressBook::keep(const std::string& name, Slot slot) {
  const std::string link = std::to_string(slot);
  // First the slot, which keeps others away from it; then the name, which makes it good.
  if (::symlinkat(name.c_str(), slots_.get(), link.c_str()) < 0 && errno != EEXIST) {
    throw_failed("make the link", slots_.get(), link);
  }
  try {
    write_file(names_, name, to_json(NameRecord{.slot = slot, .usage = {}}));
  } catch (const SystemError&) {
    ::unlinkat(slots_.get(), link.c_str(), 0);
    throw;
  }
}

UniqueFd AddressBook::enter(Tenant& tenant, const Pools& pools) {
  const Slot last = last_slot(pools);
  const std::string& name = tenant.network.name;
  if (name.empty()) return enter_at(tenant, find_free(last));
  auto record = this->name(name);
  if (record && (record->slot > last || read_link(slots_, std::to_string(record->slot)) != name)) {
    record.reset();
  }
  const Slot slot = record ? record->slot : find_free(last);
  if (!record) keep(name, slot);
  if (has(entries_, std::to_string(slot))) {
    throw SystemError(EBUSY, fmt::format("cannot give '{}' its addresses", printable(name)),
                      "a sandbox of that name has them");
  }
  return enter_at(tenant, slot);
}

void AddressBook::release(const Tenant& tenant, const UniqueFd& owned) {
  write_file(entries_, std::to_string(tenant.slot), to_json(tenant));
  Owners::release(tenant.slot, owned);
}

void AddressBook::leave(const Tenant& tenant, const NetworkUsage& usage, UniqueFd owned) {
  const std::string& name = tenant.network.name;
  const std::string file = std::to_string(tenant.slot);
  try {
    auto record = name.empty() ? std::nullopt : this->name(name);
    if (record && record->slot == tenant.slot) {
      record->usage = add(record->usage, usage);
      write_file(names_, name, to_json(*record));
    }
  } catch (const SystemError&) {
    remove_file(entries_, file);  // on a full disk it is only the counts that are lost
    owners_.remove(tenant.slot, std::move(owned));
    throw;
  }
  remove_file(entries_, file);
  owners_.remove(tenant.slot, std::move(owned));
}

std::optional<Tenant> AddressBook::tenant(Slot slot) const {
  const std::string file = std::to_string(slot);
  return parse_file(entries_, file, tenant_from_json);
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
  walk(entries_, [&](const std::string& file) {
    if (const auto slot = parse_unsigned(file, kLastSlot)) {
      if (auto found = tenant(static_cast<Slot>(*slot))) all.push_back(*found);
    }
    return true;
  });
  return all;
}

bool AddressBook::is_empty() const {
  return !walk(entries_, [](const std::string&) { return false; });
}

std::optional<NameRecord> AddressBook::name(const std::string& name) const {
  return parse_file(names_, name, name_from_json);
}

void AddressBook::forget(const std::string& name) {
  const auto record = this->name(name);
  if (!record) return;
  const std::string link = std::to_string(record->slot);
  remove_file(names_, name);
  if (read_link(slots_, link) == name) remove_file(slots_, link);
}

void AddressBook::tidy() noexcept {
  // What somebody who was killed was writing.
  for (const UniqueFd* directory : {&run_, &entries_}) ::unlinkat(directory->get(), kNew, 0);
  owners_.tidy();
  remove_directories();
}

void AddressBook::remove_directories() noexcept {
  // The book's own goes under its lock alone.
  if (run_) {
    ::unlinkat(run_.get(), "tenants", AT_REMOVEDIR);
    ::rmdir(run_path_.c_str());
  }
  ::rmdir(run_path_.parent_path().c_str());
}

}  // namespace sbx::detail
