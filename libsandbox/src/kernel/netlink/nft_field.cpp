// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/nft_field.hpp"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

using enum FieldSource;
using enum FieldNeeds;

constexpr std::uint32_t kLink = NFT_PAYLOAD_LL_HEADER;
constexpr std::uint32_t kNetwork = NFT_PAYLOAD_NETWORK_HEADER;
constexpr std::uint32_t kTransport = NFT_PAYLOAD_TRANSPORT_HEADER;

// In the order of nft::Field.
constexpr std::array kFields{
    FieldShape{kMeta, NFT_META_IIFNAME, 0, 16},
    FieldShape{kMeta, NFT_META_OIFNAME, 0, 16},
    FieldShape{kMeta, NFT_META_IIF, 0, 4},
    FieldShape{kMeta, NFT_META_OIF, 0, 4},
    FieldShape{kMeta, NFT_META_NFPROTO, 0, 1},
    FieldShape{kMeta, NFT_META_L4PROTO, 0, 1},
    FieldShape{kMeta, NFT_META_MARK, 0, 4},
    FieldShape{kPayload, kLink, 6, 6},                  // ether saddr
    FieldShape{kPayload, kLink, 0, 6},                  // ether daddr
    FieldShape{kPayload, kLink, 12, 2},                 // ether type
    FieldShape{kPayload, kNetwork, 12, 4, kIpv4},       // ip saddr
    FieldShape{kPayload, kNetwork, 16, 4, kIpv4},       // ip daddr
    FieldShape{kPayload, kNetwork, 8, 16, kIpv6},       // ip6 saddr
    FieldShape{kPayload, kNetwork, 24, 16, kIpv6},      // ip6 daddr
    FieldShape{kPayload, kTransport, 0, 2, kPorts},     // th sport
    FieldShape{kPayload, kTransport, 2, 2, kPorts},     // th dport
    FieldShape{kPayload, kTransport, 0, 1, kIcmp},      // icmp type
    FieldShape{kConnection, NFT_CT_STATE, 0, 4},        // ct state
    FieldShape{kConnection, NFT_CT_DIRECTION, 0, 1},    // ct direction
    FieldShape{kConnection, NFT_CT_STATUS, 0, 4},       // ct status
    FieldShape{kRoute, NFT_FIB_RESULT_ADDRTYPE, 0, 4},  // fib daddr type
    FieldShape{kOriginal, NFT_CT_SRC_IP, 0, 4, kIpv4},
    FieldShape{kOriginal, NFT_CT_SRC_IP6, 0, 16, kIpv6},
    FieldShape{kReply, NFT_CT_SRC_IP, 0, 4, kIpv4},
    FieldShape{kReply, NFT_CT_SRC_IP6, 0, 16, kIpv6},
    FieldShape{kMeta, NFT_META_IIFGROUP, 0, 4},
    FieldShape{kMeta, NFT_META_OIFGROUP, 0, 4},
};

// In the order of nft::Type.
constexpr std::array kTypes{
    TypeShape{7, 4},          // ipv4_addr
    TypeShape{8, 16},         // ipv6_addr
    TypeShape{9, 6},          // ether_addr
    TypeShape{12, 1},         // inet_proto
    TypeShape{13, 2},         // inet_service
    TypeShape{19, 4, true},   // mark
    TypeShape{20, 4, true},   // iface_index
    TypeShape{41, 16, true},  // ifname
    TypeShape{27, 1},         // ct_dir
};

}  // namespace

const FieldShape& shape_of(nft::Field field) { return kFields.at(static_cast<std::size_t>(field)); }

const TypeShape& shape_of(nft::Type type) { return kTypes.at(static_cast<std::size_t>(type)); }

const char* name_of(nft::Family family) {
  switch (family) {
    case nft::Family::kInet:
      return "inet";
    case nft::Family::kIpv4:
      return "ip";
    case nft::Family::kArp:
      return "arp";
    case nft::Family::kNetdev:
      return "netdev";
    case nft::Family::kBridge:
      return "bridge";
    case nft::Family::kIpv6:
      return "ip6";
  }
  return "unknown";
}

std::string name_of(const nft::Table& table) {
  return fmt::format("{} {}", name_of(table.family), printable(table.name));
}

}  // namespace sbx::detail
