// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/ip_address.hpp"

// What a sandbox sees of the network, and what passes between it and others. The host gives it a
// network of its own by a veth pair, addresses of both families out of pools, and one table of
// nf_tables: packets with other addresses than these are dropped, and so are those to other
// sandboxes, to the host's own services and to private addresses, unless a Network says otherwise.
namespace sbx {

/// A port of the host that leads to one of the sandbox's.
struct SBX_API PublishedPort {
  enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17 };

  std::optional<IpAddress> address{};  ///< one of the host's; empty: all, of both families
  std::uint16_t host_port = 0;
  std::uint16_t inner_port = 0;
  Protocol protocol = Protocol::kTcp;

  /// "[IP:]HOST:INNER[/udp]"; an IPv6 address stands in brackets. Throws std::invalid_argument.
  static PublishedPort parse(std::string_view text);

  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

/// Where a sandbox may, or may not, connect to.
struct SBX_API Destination {
  IpPrefix block{};
  std::optional<std::uint16_t> port{};  ///< of TCP and UDP; empty: everything

  /// "CIDR[:PORT]"; with a port an IPv6 block stands in brackets. Throws std::invalid_argument.
  static Destination parse(std::string_view text);

  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Destination&, const Destination&) = default;
};

/// The host's part of its sandboxes' network: who shares all of this shares one firewall table, one
/// bridge and one book of addresses. Two with different directories have nothing in common.
struct HostNetwork {
  std::filesystem::path run_directory = "/run/sandbox";        ///< what is in use now
  std::filesystem::path state_directory = "/var/lib/sandbox";  ///< what survives a reboot

  /// Addresses to give away, from /8 to /24 and from /48 to /112. Empty: a block of 10.0.0.0/8 that
  /// no route of the host's touches, and a random one of fd00::/8 (RFC 4193); both are kept.
  std::optional<IpPrefix> ipv4_pool{};
  std::optional<IpPrefix> ipv6_pool{};
};

/// The network that a sandbox sees.
struct Network {
  enum class Mode {
    kNone,  ///< a loopback of its own, up, and nothing else
    kHost,  ///< the caller's network namespace, abstract sockets included

    /// A network of its own that reaches the outside by pasta(1), of the package passt, as the
    /// caller does: without rights, with his name servers, and without a way to his loopback's
    /// services. Of this structure it has nothing but the mode. Needs Init::kYes and access to
    /// /dev/net/tun. pasta ends with the sandbox; start() looks for it in the caller's PATH.
    kUser,

    // The host's own network, of which the rest of this structure speaks. Needs CAP_NET_ADMIN and
    // CAP_SYS_ADMIN.
    kRouted,  ///< a route of the host's to each sandbox
    kBridge,  ///< a bridge, whose ports are isolated from each other; at most 1023 sandboxes
  };

  Mode mode = Mode::kNone;

  /// Whose it is: who comes back under the same name has the same addresses, and what has passed is
  /// counted on. Empty: whatever is free. Text of at most 64 bytes, without '/', no dot in front.
  std::string name{};

  /// To where no rule says otherwise, and that is not private.
  bool internet = true;

  /// What may be reached nevertheless, and what may not. The narrowest block decides; of two that
  /// are equal the one with a port, and then the one that denies. The host itself and other
  /// sandboxes are reached by their exact address alone, not by a block around it.
  std::vector<Destination> allow{};
  std::vector<Destination> deny{};

  std::vector<PublishedPort> publish{};

  /// In each direction; 0: as much as there is.
  std::uint64_t rate_bits_per_second = 0;

  /// Connections of the sandbox's own that may be under way at a time, and as many to its published
  /// ports: each takes a place in the host's table of them. By IPv4 and by IPv6 as many each.
  std::uint32_t connections_max = 4096;

  HostNetwork host{};
};

/// Packets, and their bytes with the IP header.
struct PacketCount {
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;

  friend bool operator==(const PacketCount&, const PacketCount&) = default;
};

/// What has passed between a sandbox and others, seen from inside.
struct TrafficCount {
  PacketCount received{};
  PacketCount sent{};

  friend bool operator==(const TrafficCount&, const TrafficCount&) = default;
};

/// The same, by family and by who began the connection.
struct NetworkUsage {
  TrafficCount internet4{};   ///< over IPv4, in connections of the sandbox's own
  TrafficCount internet6{};   ///< over IPv6
  TrafficCount published4{};  ///< in those to its published ports
  TrafficCount published6{};
  std::uint64_t forged_packets = 0;  ///< dropped, because the sender's addresses were not its own

  [[nodiscard]] SBX_API TrafficCount total() const noexcept;

  friend bool operator==(const NetworkUsage&, const NetworkUsage&) = default;
};

/// What has passed since the name was first given away, up to now where its sandbox runs. None for
/// a name that has no addresses. Throws SystemError.
[[nodiscard]] SBX_API std::optional<NetworkUsage> network_usage(const HostNetwork& host,
                                                                const std::string& name);

/// Gives the addresses of `name` back, and forgets what has passed. EBUSY while its sandbox runs;
/// fine when it has none.
SBX_API void forget_network(const HostNetwork& host, const std::string& name);

}  // namespace sbx
