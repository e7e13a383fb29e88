// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_condense.hpp"

#include <fmt/format.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>

namespace sbx::detail {
namespace {

using Program = std::vector<sock_filter>;

constexpr unsigned kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr unsigned kReturn = BPF_RET | BPF_K;
constexpr std::size_t kLongestJump = 255;

/// What a program answers to a call; nothing when its arguments decide.
using Answer = std::optional<std::uint32_t>;

bool jumps(const sock_filter& step, std::uint32_t value) {
  switch (BPF_OP(step.code)) {
    case BPF_JEQ:
      return value == step.k;
    case BPF_JGT:
      return value > step.k;
    case BPF_JGE:
      return value >= step.k;
    case BPF_JSET:
      return (value & step.k) != 0;
    default:
      throw std::logic_error("a jump that libseccomp does not make");
  }
}

/// Runs `program` until it answers or looks at an argument.
Answer judge(const Program& program, std::uint32_t architecture, std::uint32_t number) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < program.size(); ++i) {
    const sock_filter& step = program[i];
    if (step.code == kReturn) return step.k;
    if (step.code == kLoad) {
      if (step.k > offsetof(seccomp_data, arch)) return std::nullopt;
      value = step.k == offsetof(seccomp_data, nr) ? number : architecture;
    } else if (step.code == (BPF_JMP | BPF_JA)) {
      i += step.k;
    } else {
      i += jumps(step, value) ? step.jt : step.jf;
    }
  }
  throw std::logic_error("a program without an end");
}

/// The numbers at which the answers of `program` can change: it compares with nothing else.
std::set<std::uint32_t> borders_of(const Program& program) {
  std::set<std::uint32_t> borders = {0};
  for (const sock_filter& step : program) {
    if (BPF_CLASS(step.code) != BPF_JMP || BPF_OP(step.code) == BPF_JA) continue;
    borders.insert(step.k);
    if (step.k != ~0U) borders.insert(step.k + 1);
  }
  return borders;
}

/// From `first` up to the next range the answer is the same.
struct Range {
  std::uint32_t first;
  Answer answer;
};

std::vector<Range> ranges_of(const Program& program, std::uint32_t architecture) {
  std::vector<Range> ranges;
  for (const std::uint32_t first : borders_of(program)) {
    const Answer answer = judge(program, architecture, first);
    if (ranges.empty() || ranges.back().answer != answer) ranges.push_back({first, answer});
  }
  return ranges;
}

/// The rules of the calls that are judged by their arguments.
SeccompProfile conditional_part(const SeccompProfile& profile) {
  std::set<std::string> calls;
  for (const auto* rules : {&profile.refusals, &profile.rules}) {
    for (const SeccompRule& rule : *rules) {
      if (!rule.conditions.empty()) calls.insert(rule.call);
    }
  }
  SeccompProfile part{.default_action = profile.default_action};
  const auto is_meant = [&](const SeccompRule& rule) { return calls.contains(rule.call); };
  std::copy_if(profile.refusals.begin(), profile.refusals.end(), std::back_inserter(part.refusals),
               is_meant);
  std::copy_if(profile.rules.begin(), profile.rules.end(), std::back_inserter(part.rules),
               is_meant);
  return part;
}

/// A search among `ranges`. What is judged by arguments jumps behind the program's end, and as much
/// further as `behind` says.
Program search(std::span<const Range> ranges, std::size_t behind) {
  if (ranges.size() == 1) {
    const Answer& answer = ranges[0].answer;
    if (answer) return {sock_filter{kReturn, 0, 0, *answer}};
    return {sock_filter{BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(behind)}};
  }
  const std::size_t half = ranges.size() / 2;
  const Program high = search(ranges.subspan(half), behind);
  Program low = search(ranges.first(half), behind + high.size());
  const std::uint32_t border = ranges[half].first;
  Program program;
  if (low.size() <= kLongestJump) {
    const auto over = static_cast<std::uint8_t>(low.size());
    program = {sock_filter{BPF_JMP | BPF_JGE | BPF_K, over, 0, border}};
  } else {
    program = {sock_filter{BPF_JMP | BPF_JGE | BPF_K, 0, 1, border},
               sock_filter{BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(low.size())}};
  }
  program.insert(program.end(), low.begin(), low.end());
  program.insert(program.end(), high.begin(), high.end());
  return program;
}

void require_same(const Program& one, const Program& other, std::uint32_t architecture) {
  std::set<std::uint32_t> numbers = borders_of(one);
  numbers.merge(borders_of(other));
  for (const std::uint32_t number : numbers) {
    for (const std::uint32_t token : {architecture, ~architecture}) {
      if (judge(one, token, number) == judge(other, token, number)) continue;
      throw std::logic_error(fmt::format("the condensed filter differs for call {:#x}", number));
    }
  }
}

}  // namespace

std::vector<sock_filter> condense(const SeccompProfile& profile, std::uint32_t architecture) {
  const Program whole = compile(profile, architecture);
  const Program by_arguments = compile(conditional_part(profile), architecture);
  Program program = {
      sock_filter{kLoad, 0, 0, offsetof(seccomp_data, arch)},
      sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, architecture},
      sock_filter{kReturn, 0, 0, SECCOMP_RET_KILL_PROCESS},
      sock_filter{kLoad, 0, 0, offsetof(seccomp_data, nr)},
  };
  const Program found = search(ranges_of(whole, architecture), 0);
  program.insert(program.end(), found.begin(), found.end());
  program.insert(program.end(), by_arguments.begin(), by_arguments.end());
  require_same(whole, program, architecture);
  return program.size() < whole.size() ? program : whole;
}

}  // namespace sbx::detail
