// SPDX-License-Identifier: Apache-2.0
#include "sbx/capability.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/proc_file.hpp"
#include "sys/raw.hpp"

namespace sbx {

using detail::throw_errno;

namespace {

/// In the kernel's order, so that the index is the capability's number.
constexpr std::array<std::string_view, 41> kNames = {"chown",
                                                     "dac_override",
                                                     "dac_read_search",
                                                     "fowner",
                                                     "fsetid",
                                                     "kill",
                                                     "setgid",
                                                     "setuid",
                                                     "setpcap",
                                                     "linux_immutable",
                                                     "net_bind_service",
                                                     "net_broadcast",
                                                     "net_admin",
                                                     "net_raw",
                                                     "ipc_lock",
                                                     "ipc_owner",
                                                     "sys_module",
                                                     "sys_rawio",
                                                     "sys_chroot",
                                                     "sys_ptrace",
                                                     "sys_pacct",
                                                     "sys_admin",
                                                     "sys_boot",
                                                     "sys_nice",
                                                     "sys_resource",
                                                     "sys_time",
                                                     "sys_tty_config",
                                                     "mknod",
                                                     "lease",
                                                     "audit_write",
                                                     "audit_control",
                                                     "setfcap",
                                                     "mac_override",
                                                     "mac_admin",
                                                     "syslog",
                                                     "wake_alarm",
                                                     "block_suspend",
                                                     "audit_read",
                                                     "perfmon",
                                                     "bpf",
                                                     "checkpoint_restore"};

constexpr unsigned kBits = 64;

std::string name_of(unsigned number) {
  return number < kNames.size() ? std::string(kNames[number]) : std::to_string(number);
}

bool holds(CapabilitySet set, unsigned number) {
  return set.contains(static_cast<Capability>(number));
}

CapabilitySet set_in(const std::string& status, std::string_view field) {
  const auto start = status.find(field);
  if (start == std::string::npos) return {};
  const char* const digits = status.data() + start + field.size();
  std::uint64_t bits = 0;
  std::from_chars(digits, status.data() + status.size(), bits, 16);
  return CapabilitySet(bits);
}

ThreadCapabilities read_status(const std::string& path) {
  const std::string status = detail::read_file(path);
  return {.inheritable = set_in(status, "\nCapInh:\t"),
          .permitted = set_in(status, "\nCapPrm:\t"),
          .effective = set_in(status, "\nCapEff:\t"),
          .bounding = set_in(status, "\nCapBnd:\t"),
          .ambient = set_in(status, "\nCapAmb:\t")};
}

void drop_from_bounding(CapabilitySet wanted) {
  for (unsigned number = 0; number < kBits; ++number) {
    if (holds(wanted, number)) continue;
    const int is_set = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (is_set < 0) return;  // past the last capability of this kernel
    if (is_set == 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0) {
      throw_errno("cannot drop the capability '{}' from the bounding set", name_of(number));
    }
  }
}

void set_three(const ThreadCapabilities& wanted) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> halves{};
  for (unsigned half = 0; half < halves.size(); ++half) {
    const auto part = [&](CapabilitySet set) {
      return static_cast<std::uint32_t>(set.bits() >> (32 * half));
    };
    halves[half] = {.effective = part(wanted.effective),
                    .permitted = part(wanted.permitted),
                    .inheritable = part(wanted.inheritable)};
  }
  // capset(2) of the kernel and not of libcap, which may change all threads of the process.
  detail::check(raw::capset(&header, halves.data()),
                "cannot set the capabilities effective={:#x} permitted={:#x} inheritable={:#x}",
                wanted.effective.bits(), wanted.permitted.bits(), wanted.inheritable.bits());
}

void set_ambient(CapabilitySet wanted) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    throw_errno("cannot clear the ambient capabilities");
  }
  for (unsigned number = 0; number < kBits; ++number) {
    if (!holds(wanted, number)) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0) {
      throw_errno("cannot make the capability '{}' ambient", name_of(number));
    }
  }
}

}  // namespace

std::vector<std::string> CapabilitySet::names() const {
  std::vector<std::string> names;
  for (unsigned number = 0; number < kBits; ++number) {
    if (holds(*this, number)) names.push_back(name_of(number));
  }
  return names;
}

Capability parse_capability(std::string_view name) {
  constexpr std::string_view kPrefix = "cap_";
  std::string plain(name);
  for (char& letter : plain) {  // not std::tolower, which asks the locale
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  if (plain.starts_with(kPrefix)) plain.erase(0, kPrefix.size());

  const auto* const found = std::find(kNames.begin(), kNames.end(), plain);
  if (found == kNames.end()) {
    throw std::invalid_argument(
        fmt::format("unknown capability '{}'", detail::printable(std::string(name))));
  }
  return static_cast<Capability>(found - kNames.begin());
}

ThreadCapabilities ThreadCapabilities::current() { return read_status("/proc/thread-self/status"); }

ThreadCapabilities ThreadCapabilities::of(int pid) {
  return read_status(fmt::format("/proc/{}/status", pid));
}

void ThreadCapabilities::apply() const {
  // The bounding set first, because that takes CAP_SETPCAP, which the second step may give up. The
  // ambient set last, because the kernel lets in only what is permitted and inheritable by then.
  drop_from_bounding(bounding);
  set_three(*this);
  set_ambient(ambient);
}

}  // namespace sbx
