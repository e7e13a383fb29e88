// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "kernel/cgroup_parts.hpp"
#include "sbx/cgroup.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx {

using detail::CgroupDirectory;
using detail::CgroupPart;
using detail::Deadline;
using detail::throw_errno;
using std::chrono::milliseconds;

namespace {

const char* pressure_file(Controller resource) {
  switch (resource) {
    case Controller::kCpu:
      return "cpu.pressure";
    case Controller::kIo:
      return "io.pressure";
    case Controller::kMemory:
      return "memory.pressure";
    default:
      throw std::invalid_argument("the kernel tells of no pressure but that of cpu, io and memory");
  }
}

/// An eventfd(2) that version 1 signals when a group is out of memory. See
/// Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
UniqueFd out_of_memory_fd(const CgroupDirectory& group) {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) throw_errno("cannot make an eventfd");
  const UniqueFd control = group.open_file("memory.oom_control", O_RDONLY);
  group.write("cgroup.event_control", fmt::format("{} {}", event.get(), control.get()));
  return event;
}

UniqueFd threshold_fd(const CgroupDirectory& group, const PressureThreshold& threshold) {
  const char* file = pressure_file(threshold.resource);
  UniqueFd fd = group.open_file(file, O_RDWR | O_NONBLOCK);
  const std::string text = fmt::format("{} {} {}", threshold.full ? "full" : "some",
                                       threshold.stall.count(), threshold.window.count());
  if (::write(fd.get(), text.c_str(), text.size() + 1) < 0) {
    throw_errno("cannot watch '{}' for '{}'", (group.path() / file).native(), text);
  }
  return fd;
}

/// What stands after `key` in a text of lines.
std::string_view value_of(std::string_view text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' ')) {
      return line.substr(key.size() + 1);
    }
    at = end + 1;
  }
  return {};
}

/// Whether the number after `key` is larger in `now` than in `before`.
bool has_grown(std::string_view before, std::string_view now, std::string_view key) {
  return detail::parse_unsigned(value_of(now, key)).value_or(0) >
         detail::parse_unsigned(value_of(before, key)).value_or(0);
}

}  // namespace

/// One descriptor that tells of something.
struct CgroupWatch::Source {
  enum class Kind { kPopulation, kMemory, kOutOfMemoryV1, kThreshold };

  UniqueFd fd;
  Kind kind;
  std::string before{};  // the text that it gave last

  /// The whole text of the file, which also makes the kernel tell of the next change.
  [[nodiscard]] std::string read() const {
    std::array<char, 512> text;
    const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
    return size <= 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
  }

  /// To be called when the kernel tells of a change. A text that is the same nevertheless was
  /// another in between: processes came and ended.
  void add_changes(std::vector<CgroupEvent>& events) {
    if (kind == Kind::kThreshold) return events.push_back(CgroupEvent::kPressure);
    if (kind == Kind::kOutOfMemoryV1) {
      std::uint64_t times = 0;
      if (::read(fd.get(), &times, sizeof times) > 0) events.push_back(CgroupEvent::kOutOfMemory);
      return;
    }
    const std::string now = read();
    if (kind == Kind::kPopulation && value_of(now, "populated") == "0" &&
        (value_of(before, "populated") == "1" || now == before)) {
      events.push_back(CgroupEvent::kEmpty);
    }
    if (kind == Kind::kMemory && has_grown(before, now, "oom_kill"))
      events.push_back(CgroupEvent::kOutOfMemory);
    if (kind == Kind::kMemory && has_grown(before, now, "high"))
      events.push_back(CgroupEvent::kMemoryHigh);
    before = now;
  }
};

CgroupWatch::CgroupWatch(const Cgroup& group, const std::vector<PressureThreshold>& thresholds)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw_errno("cannot make an epoll descriptor");
  using enum Source::Kind;
  const CgroupPart& leader = group.leader();
  if (leader.directory.unified()) {
    add({leader.directory.open_file("cgroup.events", O_RDONLY), kPopulation}, EPOLLPRI);
  }
  if (const CgroupPart* memory = group.part_with(Controller::kMemory)) {
    if (memory->directory.unified()) {
      add({memory->directory.open_file("memory.events", O_RDONLY), kMemory}, EPOLLPRI);
    } else {
      add({out_of_memory_fd(memory->directory), kOutOfMemoryV1}, EPOLLIN);
    }
  }
  for (const PressureThreshold& threshold : thresholds) {
    if (!leader.directory.unified()) {
      throw SystemError(ENOTSUP, "cannot watch the pressure of a control group",
                        "mount the hierarchy of version 2");
    }
    add({threshold_fd(leader.directory, threshold), kThreshold}, EPOLLPRI);
  }
}

CgroupWatch::CgroupWatch(CgroupWatch&&) noexcept = default;
CgroupWatch& CgroupWatch::operator=(CgroupWatch&&) noexcept = default;
CgroupWatch::~CgroupWatch() = default;

void CgroupWatch::add(Source source, std::uint32_t epoll_events) {
  source.before = source.read();
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = sources_.size();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, source.fd.get(), &event) < 0)
    throw_errno("cannot watch a control group");
  sources_.push_back(std::move(source));
}

std::vector<CgroupEvent> CgroupWatch::wait(milliseconds timeout) {
  const Deadline deadline(timeout);
  std::vector<CgroupEvent> events;
  do {
    std::array<epoll_event, 8> ready;
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()),
                                   deadline.for_poll());
    if (count < 0 && errno != EINTR) throw_errno("cannot wait for a control group");
    for (int i = 0; i < count; ++i) {
      sources_[ready[static_cast<std::size_t>(i)].data.u64].add_changes(events);
    }
  } while (events.empty() && !deadline.is_over());
  return events;
}

}  // namespace sbx
