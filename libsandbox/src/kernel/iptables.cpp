// SPDX-License-Identifier: Apache-2.0
#include "kernel/iptables.hpp"

#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "sbx/fd.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::string_view kFilter = "filter";
constexpr const char* kAttempt = "cannot read the rules of iptables";
constexpr int kTries = 10;

struct Ipv4 {
  using Info = ipt_getinfo;
  using Entries = ipt_get_entries;
  using Entry = ipt_entry;
  using Match = ipt_ip;
  static constexpr int kDomain = AF_INET;
  static constexpr int kLevel = IPPROTO_IP;
  static constexpr int kGetInfo = IPT_SO_GET_INFO;
  static constexpr int kGetEntries = IPT_SO_GET_ENTRIES;
  static Match match(const Entry& entry) { return entry.ip; }
};

struct Ipv6 {
  using Info = ip6t_getinfo;
  using Entries = ip6t_get_entries;
  using Entry = ip6t_entry;
  using Match = ip6t_ip6;
  static constexpr int kDomain = AF_INET6;
  static constexpr int kLevel = IPPROTO_IPV6;
  static constexpr int kGetInfo = IP6T_SO_GET_INFO;
  static constexpr int kGetEntries = IP6T_SO_GET_ENTRIES;
  static Match match(const Entry& entry) { return entry.ipv6; }
};

/// A copy, because what the kernel has put together lies where it does.
template <typename T>
T read_at(const std::vector<char>& bytes, std::size_t offset) {
  T value{};
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) {
    throw SystemError(EBADMSG, kAttempt);
  }
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <typename Family>
bool refuses_all(const std::vector<char>& bytes, std::size_t offset) {
  const auto entry = read_at<typename Family::Entry>(bytes, offset);
  const typename Family::Match everything{};
  const auto match = Family::match(entry);
  if (std::memcmp(&match, &everything, sizeof match) != 0) return false;
  if (entry.target_offset != sizeof entry) return false;  // a match of an extension's
  const std::size_t target = offset + entry.target_offset;
  const auto extension = read_at<xt_entry_target>(bytes, target);
  const std::string_view name = extension.u.user.name;
  if (!name.empty()) return name == "REJECT";
  return read_at<xt_standard_target>(bytes, target).verdict == -NF_DROP - 1;
}

/// The last rule of FORWARD that is somebody's is the one before its policy, which is a rule too.
template <typename Family>
bool forward_refuses(const typename Family::Info& info, const std::vector<char>& entries) {
  bool refuses = false;
  std::size_t offset = info.hook_entry[NF_INET_FORWARD];
  const std::size_t policy = info.underflow[NF_INET_FORWARD];
  while (offset < policy) {
    refuses = refuses_all<Family>(entries, offset);
    const std::size_t size = read_at<typename Family::Entry>(entries, offset).next_offset;
    if (size == 0) throw SystemError(EBADMSG, kAttempt);
    offset += size;
  }
  return refuses || refuses_all<Family>(entries, policy);
}

template <typename Family>
bool forward_refuses() {
  const UniqueFd socket(::socket(Family::kDomain, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("{}", kAttempt);
  for (int tries = 0; tries < kTries; ++tries) {
    typename Family::Info info{};
    kFilter.copy(info.name, sizeof info.name);
    socklen_t size = sizeof info;
    if (::getsockopt(socket.get(), Family::kLevel, Family::kGetInfo, &info, &size) < 0) {
      throw_errno("{}", kAttempt);
    }
    using Entries = typename Family::Entries;
    constexpr std::size_t kStart = sizeof(Entries);  // and there they begin
    std::vector<char> bytes(kStart + info.size);
    kFilter.copy(bytes.data() + offsetof(Entries, name), kFilter.size());
    std::memcpy(bytes.data() + offsetof(Entries, size), &info.size, sizeof info.size);
    size = static_cast<socklen_t>(bytes.size());
    if (::getsockopt(socket.get(), Family::kLevel, Family::kGetEntries, bytes.data(), &size) == 0) {
      bytes.erase(bytes.begin(), bytes.begin() + kStart);
      return forward_refuses<Family>(info, bytes);
    }
    if (errno != EAGAIN) throw_errno("{}", kAttempt);  // somebody has changed them in the meantime
  }
  throw SystemError(EAGAIN, kAttempt);
}

}  // namespace

bool has_old_filter(IpFamily family) {
  const char* const path = family == IpFamily::kIpv4 ? "/proc/thread-self/net/ip_tables_names"
                                                     : "/proc/thread-self/net/ip6_tables_names";
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return false;  // the kernel has it not, or not yet
  std::array<char, 256> text{};
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) throw_errno("cannot read '{}'", path);
  std::string_view names(text.data(), static_cast<std::size_t>(size));
  while (!names.empty()) {
    const std::size_t end = std::min(names.find('\n'), names.size());
    if (names.substr(0, end) == kFilter) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

bool old_filter_refuses(IpFamily family) {
  return family == IpFamily::kIpv4 ? forward_refuses<Ipv4>() : forward_refuses<Ipv6>();
}

}  // namespace sbx::detail
