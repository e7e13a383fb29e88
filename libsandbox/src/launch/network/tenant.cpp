// SPDX-License-Identifier: Apache-2.0
#include "launch/network/tenant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "launch/network/book_files.hpp"

namespace sbx::detail {
namespace {

// Groups of links: "sbx", and "s" with the number of another book; hardly anybody numbers his so.
constexpr std::uint32_t kGroup = 0x736278;
constexpr std::uint32_t kOtherGroups = 0x73000000;

std::uint32_t hash(const std::string& text) {
  std::uint32_t value = 2166136261U;  // FNV-1a
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619U;
  return value;
}

MacAddress mac_of(Slot slot) {
  const auto byte = [slot](unsigned shift) { return static_cast<std::uint8_t>(slot >> shift); };
  return {{0x02, 0x73, 0x62, byte(16), byte(8), byte(0)}};
}

}  // namespace

HostNames names_of(const HostNetwork& host) {
  // Never ended: somebody may end a sandbox after main().
  static const auto& usual = *new std::string(HostNetwork{}.run_directory);
  const std::string directory = normal_path(host.run_directory);
  if (directory == usual) return {"sandbox", "sbx-", "sbx-bridge", kGroup};
  const std::uint32_t number = hash(directory) & 0xffffffU;
  const std::string mark = fmt::format("{:06x}", number);
  return {"sandbox-" + mark, "sb" + mark + "-", "sb" + mark + "-bridge", kOtherGroups + number};
}

Slot last_slot(const Pools& pools) {
  const auto most = [](const IpPrefix& pool) -> Slot {
    const unsigned bits = std::min(pool.address.bits() - pool.length, 24U);
    return (Slot{1} << bits) - 2;  // the very last address is for all
  };
  return std::min({most(pools.ipv4), most(pools.ipv6), kLastSlot});
}

TenantAddresses::TenantAddresses(const HostNames& names, const Pools& pools, const Tenant& tenant)
    : ipv4(pools.ipv4.at(tenant.slot)),
      ipv6(pools.ipv6.at(tenant.slot)),
      mac(mac_of(tenant.slot)),
      link(fmt::format("{}{}", names.prefix, tenant.slot)),
      entry(tenant.on_bridge() ? names.bridge : link) {}

}  // namespace sbx::detail
