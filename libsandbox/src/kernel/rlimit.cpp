// SPDX-License-Identifier: Apache-2.0
#include "sbx/rlimit.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx {

static_assert(RLIM64_INFINITY == Rlimit::kUnlimited);

namespace {

enum class Unit { kBytes, kOther };

struct Resource {
  std::string_view name;
  int number;
  Unit unit;
};

constexpr std::array<Resource, 16> kResources = {{
    {"as", RLIMIT_AS, Unit::kBytes},
    {"core", RLIMIT_CORE, Unit::kBytes},
    {"cpu", RLIMIT_CPU, Unit::kOther},
    {"data", RLIMIT_DATA, Unit::kBytes},
    {"fsize", RLIMIT_FSIZE, Unit::kBytes},
    {"locks", RLIMIT_LOCKS, Unit::kOther},
    {"memlock", RLIMIT_MEMLOCK, Unit::kBytes},
    {"msgqueue", RLIMIT_MSGQUEUE, Unit::kBytes},
    {"nice", RLIMIT_NICE, Unit::kOther},
    {"nofile", RLIMIT_NOFILE, Unit::kOther},
    {"nproc", RLIMIT_NPROC, Unit::kOther},
    {"rss", RLIMIT_RSS, Unit::kBytes},
    {"rtprio", RLIMIT_RTPRIO, Unit::kOther},
    {"rttime", RLIMIT_RTTIME, Unit::kOther},
    {"sigpending", RLIMIT_SIGPENDING, Unit::kOther},
    {"stack", RLIMIT_STACK, Unit::kBytes},
}};

std::optional<std::uint64_t> parse_value(std::string_view text, Unit unit) {
  if (text == "unlimited") return Rlimit::kUnlimited;
  constexpr std::uint64_t kHighest = Rlimit::kUnlimited - 1;
  return unit == Unit::kBytes ? detail::parse_size(text, kHighest)
                              : detail::parse_unsigned(text, kHighest);
}

std::string shown(std::uint64_t value) {
  return value == Rlimit::kUnlimited ? "unlimited" : std::to_string(value);
}

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw std::invalid_argument(fmt::format("cannot read the resource limit '{}': {}",
                                          detail::printable(std::string(text)), reason));
}

}  // namespace

Rlimit Rlimit::parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) refuse(text, "it is not NAME=SOFT[:HARD]");

  const auto name = text.substr(0, equals);
  const auto* const resource =
      std::find_if(kResources.begin(), kResources.end(),
                   [name](const Resource& candidate) { return candidate.name == name; });
  if (resource == kResources.end()) refuse(text, "there is no such resource");

  const auto values = text.substr(equals + 1);
  const auto colon = values.find(':');
  const auto soft = parse_value(values.substr(0, colon), resource->unit);
  const auto hard = colon == std::string_view::npos
                        ? soft
                        : parse_value(values.substr(colon + 1), resource->unit);
  if (!soft || !hard) {
    refuse(text, resource->unit == Unit::kBytes ? "a limit is a size such as 64M, or unlimited"
                                                : "a limit is a whole number, or unlimited");
  }
  if (*soft > *hard) refuse(text, "the soft limit is above the hard one");
  return {.resource = resource->number, .soft = *soft, .hard = *hard};
}

Rlimit Rlimit::current(int resource) {
  Rlimit found{.resource = resource};
  rlimit64 value{};
  if (::prlimit64(0, static_cast<__rlimit_resource>(resource), nullptr, &value) < 0) {
    detail::throw_errno("cannot read the resource limit '{}'", found.name());
  }
  found.soft = value.rlim_cur;
  found.hard = value.rlim_max;
  return found;
}

void Rlimit::apply() const {
  const rlimit64 value{.rlim_cur = soft, .rlim_max = hard};
  if (::prlimit64(0, static_cast<__rlimit_resource>(resource), &value, nullptr) < 0) {
    detail::throw_errno("cannot set the resource limit '{}={}:{}'", name(), shown(soft),
                        shown(hard));
  }
}

std::string Rlimit::name() const {
  const auto* const found =
      std::find_if(kResources.begin(), kResources.end(),
                   [this](const Resource& candidate) { return candidate.number == resource; });
  return found == kResources.end() ? fmt::format("resource {}", resource)
                                   : std::string(found->name);
}

}  // namespace sbx
