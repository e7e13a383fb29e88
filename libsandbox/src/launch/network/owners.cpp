// SPDX-License-Identifier: Apache-2.0
#include "launch/network/owners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

// The kernel walks all locks of a file to find one, and to open a file takes as long as to walk
// some hundreds.
constexpr Slot kFiles = 32;

// How long a look may take that is not remembered; and for how many times as long one that is keeps
// others from looking again.
constexpr std::chrono::microseconds kShortLook{1000};
constexpr int kPause = 10;
constexpr std::chrono::seconds kLongestPause{10};
constexpr const char* kNextLook = "owners.next";  // when: on the machine's clock

constexpr char kTenant = 1;  // in the tenant's byte; else 0

std::string file_of(Slot slot) { return "owners." + std::to_string(slot % kFiles); }
off_t byte_of(Slot slot) { return static_cast<off_t>(slot / kFiles); }

/// None where there is no such file.
UniqueFd open_file(const UniqueFd& directory, const std::string& name, int flags) {
  UniqueFd file(::openat(directory.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file && errno != ENOENT) throw_errno("cannot open the list of the addresses' owners");
  return file;
}

struct flock lock_of(off_t byte, short type = F_WRLCK) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool is_locked(const UniqueFd& file, off_t byte) {
  struct flock lock = lock_of(byte);
  if (::fcntl(file.get(), F_OFD_GETLK, &lock) < 0) {
    throw_errno("cannot look for the owner of an address");
  }
  return lock.l_type != F_UNLCK;
}

void write_byte(const UniqueFd& file, off_t byte, char value) {
  if (::pwrite(file.get(), &value, 1, byte) == 1) return;
  const int error = errno;
  std::error_code unknown;
  const auto place =
      std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", file.get()), unknown);
  throw SystemError(error, fmt::format("cannot write '{}'", printable(place.native())));
}

// The same for all of the machine's processes, but for those in another time namespace, and until
// its next start.
using Clock = std::chrono::steady_clock;

bool is_pause(const UniqueFd& directory, Clock::time_point now) {
  const UniqueFd file = open_file(directory, kNextLook, O_RDONLY);
  Clock::rep when = 0;
  if (!file || ::pread(file.get(), &when, sizeof when, 0) != sizeof when) return false;
  const Clock::time_point next{Clock::duration(when)};
  return now < next && next <= now + kLongestPause;  // else it is by another clock
}

/// It is no harm where that fails.
void note_next_look(const UniqueFd& directory, Clock::time_point next) {
  const UniqueFd file = open_file(directory, kNextLook, O_WRONLY | O_CREAT);
  const Clock::rep when = next.time_since_epoch().count();
  if (file && ::pwrite(file.get(), &when, sizeof when, 0) < 0) return;
}

}  // namespace

UniqueFd Owners::add(Slot slot) {
  UniqueFd file = open_file(directory_, file_of(slot), O_RDWR | O_CREAT);
  if (!file) throw_errno("cannot make the list of the addresses' owners");
  struct flock lock = lock_of(byte_of(slot));
  if (::fcntl(file.get(), F_OFD_SETLK, &lock) < 0) throw_errno("cannot lock an address");
  write_byte(file, byte_of(slot), kTenant);
  return file;
}

void Owners::release(Slot slot, const UniqueFd& owned) noexcept {
  struct flock unlock = lock_of(byte_of(slot), F_UNLCK);
  ::fcntl(owned.get(), F_OFD_SETLK, &unlock);
}

void Owners::remove(Slot slot, UniqueFd owned) {
  if (owned) release(slot, owned);
  const UniqueFd file = owned ? std::move(owned) : open_file(directory_, file_of(slot), O_WRONLY);
  if (file) write_byte(file, byte_of(slot), 0);
}

bool Owners::has_owner(Slot slot) const {
  const UniqueFd file = open_file(directory_, file_of(slot), O_RDONLY);
  return file && is_locked(file, byte_of(slot));
}

std::vector<Slot> Owners::left(bool at_once) const {
  const auto start = Clock::now();
  if (!at_once && is_pause(directory_, start)) return {};
  std::vector<Slot> found;
  std::array<char, kLastSlot / kFiles + 1> bytes{};
  for (Slot number = 0; number < kFiles; ++number) {
    const UniqueFd file = open_file(directory_, file_of(number), O_RDONLY);
    if (!file) continue;
    const ssize_t size = ::pread(file.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) throw_errno("cannot read the list of the addresses' owners");
    for (ssize_t byte = 0; byte < size; ++byte) {
      if (bytes[static_cast<std::size_t>(byte)] == kTenant && !is_locked(file, byte)) {
        found.push_back(static_cast<Slot>(byte) * kFiles + number);
      }
    }
  }
  const auto end = Clock::now();
  if (end - start > kShortLook) {
    const Clock::duration pause = (end - start) * kPause;
    note_next_look(directory_, end + std::min<Clock::duration>(pause, kLongestPause));
  }
  return found;
}

void Owners::tidy() noexcept {
  ::unlinkat(directory_.get(), kNextLook, 0);
  for (Slot number = 0; number < kFiles; ++number) {
    ::unlinkat(directory_.get(), file_of(number).c_str(), 0);
  }
}

}  // namespace sbx::detail
