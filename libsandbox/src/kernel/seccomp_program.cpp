// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_program.hpp"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "sbx/fd.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

struct NewerCall {
  std::string_view name;
  int number;
};

// Calls that are younger than the oldest libseccomp we build with. Since 5.1 a new call has the
// same number everywhere; the two probes exist on x86-64 alone, and their numbers nowhere else.
constexpr std::array kNewerCalls = {
    NewerCall{"uretprobe", 335},         NewerCall{"uprobe", 336},
    NewerCall{"cachestat", 451},         NewerCall{"fchmodat2", 452},
    NewerCall{"map_shadow_stack", 453},  NewerCall{"futex_wake", 454},
    NewerCall{"futex_wait", 455},        NewerCall{"futex_requeue", 456},
    NewerCall{"statmount", 457},         NewerCall{"listmount", 458},
    NewerCall{"lsm_get_self_attr", 459}, NewerCall{"lsm_set_self_attr", 460},
    NewerCall{"lsm_list_modules", 461},  NewerCall{"mseal", 462},
    NewerCall{"setxattrat", 463},        NewerCall{"getxattrat", 464},
    NewerCall{"listxattrat", 465},       NewerCall{"removexattrat", 466},
    NewerCall{"open_tree_attr", 467},    NewerCall{"file_getattr", 468},
    NewerCall{"file_setattr", 469},      NewerCall{"listns", 470},
};

std::optional<int> number_of(const std::string& name) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number != __NR_SCMP_ERROR) return number;
  const auto* newer = std::find_if(kNewerCalls.begin(), kNewerCalls.end(),
                                   [&](const NewerCall& call) { return call.name == name; });
  if (newer == kNewerCalls.end()) return std::nullopt;
  return newer->number;
}

void check_seccomp(int result, const char* attempt) {
  if (result < 0) throw SystemError(-result, attempt);
}

/// Owns a filter of libseccomp's while rules are added to it.
class FilterContext {
 public:
  FilterContext(std::uint32_t default_action, std::uint32_t architecture);

  void add(const SeccompRule& rule);
  [[nodiscard]] std::vector<sock_filter> program() const;

 private:
  struct Release {
    void operator()(void* context) const noexcept { seccomp_release(context); }
  };

  void keep_only(std::uint32_t architecture);

  std::unique_ptr<void, Release> context_;
  std::uint32_t default_action_;
};

FilterContext::FilterContext(std::uint32_t default_action, std::uint32_t architecture)
    : context_(seccomp_init(default_action)), default_action_(default_action) {
  constexpr auto kAttempt = "cannot prepare a seccomp filter";
  if (!context_) throw SystemError(EINVAL, kAttempt);

  // Also what x32 gets: it shares x86-64's token and is told apart by a bit of the number.
  check_seccomp(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
                kAttempt);
  // A binary tree instead of a list of comparisons.
  check_seccomp(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), kAttempt);
  keep_only(architecture);
}

void FilterContext::keep_only(std::uint32_t architecture) {
  constexpr auto kAttempt = "cannot choose the architecture of a seccomp filter";
  if (architecture == SCMP_ARCH_NATIVE || architecture == seccomp_arch_native()) return;
  check_seccomp(seccomp_arch_add(context_.get(), architecture), kAttempt);
  check_seccomp(seccomp_arch_remove(context_.get(), SCMP_ARCH_NATIVE), kAttempt);
}

void FilterContext::add(const SeccompRule& rule) {
  // libseccomp takes a rule that changes nothing for a mistake.
  if (rule.action == default_action_) return;
  const std::optional<int> number = number_of(rule.call);
  if (!number) return;

  const int result =
      seccomp_rule_add_array(context_.get(), rule.action, *number,
                             static_cast<unsigned>(rule.conditions.size()), rule.conditions.data());
  // A filter for another architecture can only hold calls that libseccomp itself knows.
  if (result == -EFAULT) return;
  if (result < 0) {
    throw SystemError(-result,
                      fmt::format("cannot add the seccomp rule for '{}'", printable(rule.call)));
  }
}

std::vector<sock_filter> FilterContext::program() const {
  constexpr auto kAttempt = "cannot compile a seccomp filter";
  const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) throw_errno("{}", kAttempt);
  check_seccomp(seccomp_export_bpf(context_.get(), file.get()), kAttempt);

  struct stat status {};
  if (::fstat(file.get(), &status) < 0) throw_errno("{}", kAttempt);
  std::vector<sock_filter> program(static_cast<std::size_t>(status.st_size) / sizeof(sock_filter));
  const ssize_t size = status.st_size;
  if (::pread(file.get(), program.data(), program.size() * sizeof(sock_filter), 0) != size) {
    throw SystemError(EIO, kAttempt);
  }
  return program;
}

std::vector<sock_filter> compile(const std::vector<SeccompRule>& rules,
                                 std::uint32_t default_action, std::uint32_t architecture) {
  FilterContext context(default_action, architecture);
  for (const SeccompRule& rule : rules) context.add(rule);
  return context.program();
}

/// One program that runs `second` for what `first` allows: the jumps of classic BPF are relative
/// and go forward only, so the programs may follow each other as they are.
std::vector<sock_filter> chain(std::vector<sock_filter> first,
                               const std::vector<sock_filter>& second) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool allows = first[i].code == (BPF_RET | BPF_K) && first[i].k == SECCOMP_RET_ALLOW;
    if (!allows) continue;
    const auto distance = static_cast<std::uint32_t>(first.size() - i - 1);
    first[i] = sock_filter{BPF_JMP | BPF_JA, 0, 0, distance};
  }
  std::copy(second.begin(), second.end(), std::back_inserter(first));
  return first;
}

}  // namespace

bool is_known_call(const std::string& call) { return number_of(call).has_value(); }

// "Allow, unless an argument is such" cannot be said to libseccomp beside a default other than
// allow: it has no masked comparison for "is not". Hence two programs, with a default each.
std::vector<sock_filter> compile(const SeccompProfile& profile, std::uint32_t architecture) {
  std::vector<sock_filter> rules = compile(profile.rules, profile.default_action, architecture);
  if (profile.refusals.empty()) return rules;
  return chain(compile(profile.refusals, SCMP_ACT_ALLOW, architecture), rules);
}

}  // namespace sbx::detail
