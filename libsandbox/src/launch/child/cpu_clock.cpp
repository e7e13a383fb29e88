// SPDX-License-Identifier: Apache-2.0
#include "launch/child/cpu_clock.hpp"

#include <errno.h>

#include "sys/raw.hpp"

namespace sbx::child {
namespace {

constexpr std::uint64_t kMicrosecondsPerTick = 10000;  // USER_HZ is 100 everywhere
constexpr int kShortestWait = 10;                      // milliseconds: the resolution of /proc
constexpr int kLongestWait = 1 << 30;

/// What a process has used whose file cannot be read, because a program of the same user has taken
/// the descriptors of this process away by prlimit(2): as much as no limit allows.
constexpr std::uint64_t kUnknown = std::uint64_t{1} << 62U;

struct DirectoryEntry {
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

std::uint64_t microseconds(const timeval& time) noexcept {
  return static_cast<std::uint64_t>(time.tv_sec) * 1000000U +
         static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

std::uint64_t ticks_in_stat(const char* text) noexcept {
  // The name, in parentheses, may hold anything, parentheses too: the last one ends it.
  const char* after_name = text;
  for (const char* c = text; *c != '\0'; ++c) {
    if (*c == ')') after_name = c + 1;
  }
  std::uint64_t sum = 0;
  std::uint64_t number = 0;
  int field = 2;
  for (const char* c = after_name; *c != '\0' && field <= 17; ++c) {
    if (*c == ' ') {
      if (field >= 14) sum += number;
      ++field;
      number = 0;
    } else if (*c >= '0' && *c <= '9') {
      number = number * 10 + static_cast<std::uint64_t>(*c - '0');
    }
  }
  return sum;
}

long CpuClock::open() noexcept {
  const long proc = raw::openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  proc_ = static_cast<int>(proc);
  const long count = raw::processor_count();
  processors_ = count > 0 ? static_cast<std::uint64_t>(count) : 1;
  return proc;
}

std::uint64_t CpuClock::process_us(const char* pid) const noexcept {
  char path[32];
  std::size_t size = 0;
  while (pid[size] != '\0' && size < 16) {
    path[size] = pid[size];
    ++size;
  }
  for (const char* c = "/stat"; *c != '\0'; ++c) path[size++] = *c;
  path[size] = '\0';
  const int file = static_cast<int>(raw::openat(proc_, path, O_RDONLY | O_CLOEXEC));
  if (file == -EMFILE || file == -ENFILE) return kUnknown;
  if (file < 0) return 0;
  char text[1024];
  const long length = raw::read(file, text, sizeof text - 1);
  raw::close(file);
  if (length <= 0) return 0;
  text[length] = '\0';
  return ticks_in_stat(text) * kMicrosecondsPerTick;
}

std::uint64_t CpuClock::running_us() const noexcept {
  std::uint64_t sum = 0;
  if (raw::call(__NR_lseek, proc_, 0, 0) < 0) return 0;
  alignas(DirectoryEntry) char entries[4096];
  for (;;) {
    const long size = raw::getdents64(proc_, entries, sizeof entries);
    if (size <= 0) return sum;
    for (long offset = 0; offset < size;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(entries + offset);
      offset += entry->length;
      const bool is_process = entry->name[0] >= '1' && entry->name[0] <= '9';
      const bool is_init = entry->name[0] == '1' && entry->name[1] == '\0';
      if (!is_process || is_init) continue;
      const std::uint64_t used = process_us(entry->name);
      if (used == kUnknown) return kUnknown;
      sum += used;
    }
  }
}

void CpuClock::count_by(int file) noexcept {
  group_ = file;
  before_us_ = group_us();
}

std::uint64_t CpuClock::group_us() const noexcept {
  constexpr const char* kFirstWord = "usage_usec ";
  char text[64];
  const long size = raw::pread(group_, text, sizeof text, 0);
  long at = 0;
  while (kFirstWord[at] != '\0' && at < size && text[at] == kFirstWord[at]) ++at;
  std::uint64_t used = 0;
  for (; at < size && text[at] >= '0' && text[at] <= '9'; ++at) {
    used = used * 10 + static_cast<std::uint64_t>(text[at] - '0');
  }
  return used;
}

std::uint64_t CpuClock::used_us() const noexcept {
  if (group_ >= 0) return group_us() - before_us_;
  rusage reaped{};
  raw::getrusage(RUSAGE_CHILDREN, &reaped);
  return microseconds(reaped.ru_utime) + microseconds(reaped.ru_stime) + running_us();
}

int CpuClock::milliseconds_until(std::uint64_t limit_us) const noexcept {
  const std::uint64_t used = used_us();
  const std::uint64_t wait = used >= limit_us ? 0 : (limit_us - used) / processors_ / 1000;
  if (wait < kShortestWait) return kShortestWait;
  return wait > kLongestWait ? kLongestWait : static_cast<int>(wait);
}

}  // namespace sbx::child
