// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/fd.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/namespace.hpp"

namespace sbx {

namespace detail {
class NetlinkSocket;
}

/// A pair of virtual Ethernet interfaces: what goes in at one comes out at the other. See veth(4).
struct Veth {
  std::string name{};  ///< at most 15 bytes
  std::optional<MacAddress> mac{};
  std::uint32_t group = 0;  ///< a number that rules for packets can ask for; of the outer end

  std::string peer_name{};
  std::optional<MacAddress> peer_mac{};
  const Namespace* peer_namespace = nullptr;  ///< where the peer is made; null: beside its fellow

  bool arp = true;         ///< the outer end asks for and tells Ethernet addresses: ARP
  bool link_local = true;  ///< each end gives itself an IPv6 address, fe80::...
};

/// What a bridge does with one of its ports.
struct BridgePort {
  bool isolated = false;  ///< no frame passes between two ports that are isolated
  bool learning = true;   ///< addresses of frames that come in are remembered
  bool flood = true;      ///< frames for an unknown address, for several or for all go out here
};

/// A way to `destination` through the link.
struct Route {
  IpPrefix destination{};              ///< 0.0.0.0/0 and ::/0 are the default routes
  std::optional<IpAddress> gateway{};  ///< empty: the destination is on the link itself
  bool on_link = false;                ///< the gateway is, though no address of the link says so

  friend bool operator==(const Route&, const Route&) = default;
};

/// What has passed a link since it was made, in frames: an Ethernet header is counted too.
struct LinkStatistics {
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_dropped = 0;
  std::uint64_t tx_dropped = 0;
};

/// A network interface in the namespace of the Rtnetlink that it comes from. One that was created
/// is owned: it goes with the handle. Every member throws SystemError with the kernel's own words,
/// and changes nothing then. See rtnetlink(7) and netdevice(7). Changes need CAP_NET_ADMIN over the
/// namespace.
class SBX_API Link {
 public:
  Link(Link&& other) noexcept;
  Link& operator=(Link&& other) noexcept;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// The number of the interface, which no other has while the namespace lasts; see
  /// if_nametoindex(3).
  [[nodiscard]] int index() const noexcept { return index_; }

  /// What is sent is lost until the kernel has noticed that both ends of a veth pair are up: that
  /// of the end that is set up last at once, that of the other within a second, or when that is
  /// read, as by is_up() (since Linux 6.8).
  void set_up();
  void set_down();
  [[nodiscard]] bool is_up() const;

  void set_mtu(std::uint32_t bytes);
  [[nodiscard]] std::uint32_t mtu() const;
  [[nodiscard]] MacAddress mac() const;

  /// Makes the link a port of `bridge`. For a moment `port` does not hold yet: one that is to be
  /// isolated is set up afterwards.
  void join(const Link& bridge, const BridgePort& port = {});

  /// An address of the host on this link, and by its length what is on the link with it. IPv6
  /// addresses can be used at once: no duplicate address detection. EEXIST when it is there.
  void add_address(const IpPrefix& address);
  void remove_address(const IpPrefix& address);
  [[nodiscard]] std::vector<IpPrefix> addresses() const;

  /// EEXIST when there is a way to the destination with the same metric.
  void add_route(const Route& route);
  void remove_route(const Route& route);

  /// Those of the main table that lead through the link.
  [[nodiscard]] std::vector<Route> routes() const;

  /// Fixes the Ethernet address that `address` has on the link: it is not asked for.
  void add_neighbour(const IpAddress& address, const MacAddress& mac);
  void remove_neighbour(const IpAddress& address);

  /// Lets at most so many bits in a second out at the link, of what is sent to it on this side,
  /// after 72 KiB or what goes in 4 ms, if that is more. The rest waits for at most a quarter of a
  /// second, or for the time that 72 KiB take. 0: no limit any more. See tc-tbf(8).
  void limit_rate(std::uint64_t bits_per_second);

  [[nodiscard]] LinkStatistics statistics() const;

  /// Removes the interface now; of a veth pair, both. The kernel takes some 20 ms for it; to close
  /// the namespace that holds one end is cheaper.
  void remove();

  /// Leaves the interface in place when the handle goes.
  void release() noexcept { owned_ = false; }

 private:
  friend class Rtnetlink;
  Link(std::shared_ptr<detail::NetlinkSocket> socket, std::string name, int index,
       bool owned) noexcept;

  std::shared_ptr<detail::NetlinkSocket> socket_;
  std::string name_;
  int index_ = 0;
  bool owned_ = false;
};

/// A conversation with the kernel about the links of one network namespace: rtnetlink(7). A
/// conversation and its links are used by one thread at a time. Needs libnl-route-3 and libmnl,
/// which are opened when the first is made; throws SystemError (ENOENT) where they are missing.
class SBX_API Rtnetlink {
 public:
  /// About the calling thread's namespace.
  Rtnetlink();

  /// About `network`, a namespace of the kind kNet. The caller stays where it is. Needs the right
  /// to enter it: CAP_SYS_ADMIN.
  explicit Rtnetlink(const Namespace& network);

  /// Over `socket`, of the protocol NETLINK_ROUTE, that was made in the namespace in question.
  explicit Rtnetlink(UniqueFd socket);

  /// Makes a veth pair, both ends down, and owns it by its outer end. EEXIST when a name is taken.
  Link create(const Veth& veth);

  /// Makes a bridge, down and without ports. It takes 1023; see bridge(8).
  Link create_bridge(const std::string& name);

  /// The link of that name, not owned. ENODEV when there is none.
  [[nodiscard]] Link open(const std::string& name) const;

  /// The same, or none.
  [[nodiscard]] std::optional<Link> find(const std::string& name) const;

  /// The names of all links, in the order of their numbers.
  [[nodiscard]] std::vector<std::string> names() const;

  /// Where the routes of the main table lead to, but for the default routes.
  [[nodiscard]] std::vector<IpPrefix> destinations() const;

 private:
  std::shared_ptr<detail::NetlinkSocket> socket_;
};

}  // namespace sbx
