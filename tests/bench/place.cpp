// SPDX-License-Identifier: Apache-2.0
#include "bench/place.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "bench/measure.hpp"
#include "sbx/link.hpp"
#include "support/process.hpp"

namespace sbx::bench {
namespace {

using detail::kGateway;
using detail::kHostMac;

detail::Pools pools() { return {IpPrefix::parse("10.213.0.0/16"), IpPrefix::parse("fd13::/64")}; }

void need(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
}

template <std::size_t kSize>
void copy(std::span<const std::uint8_t> from, std::uint8_t (&to)[kSize]) {
  std::copy_n(from.begin(), kSize, to);
}

/// What the kernel has taken for itself and can tell.
double kernel_kib() {
  std::ifstream file("/proc/meminfo");
  double sum = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    words >> name >> value;
    if (name == "Slab:" || name == "Percpu:" || name == "VmallocUsed:") sum += value;
  }
  return sum;
}

}  // namespace

Inside::Inside() : process_(CLONE_NEWNET) {
  if (process_.pid() < 0) throw std::runtime_error("cannot make a network namespace");
}

UniqueFd Inside::socket() const {
  return network().run(
      [] { return UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)); });
}

MemoryDir::MemoryDir() {
  std::string name = "/dev/shm/sbx-bench-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) need(-1, "cannot make a directory in /dev/shm");
  path_ = name;
}

MemoryDir::~MemoryDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Place::Place()
    : host(Namespace::create(NamespaceKind::kNet)),
      outside(Namespace::create(NamespaceKind::kNet)) {
  Rtnetlink on_host(host);
  const Rtnetlink on_outside(outside);
  on_host.open("lo").set_up();
  Link uplink = on_host.create({.name = "up0", .peer_name = "eth0", .peer_namespace = &outside});
  uplink.release();
  Link world = on_outside.open("eth0");
  uplink.add_address(IpPrefix::parse("198.51.100.2/24"));
  world.add_address(IpPrefix::parse(std::string(kOutside) + "/24"));
  for (Link* link : {&uplink, &world}) link->set_up();
  // The kernel notices that both are up when it is asked.
  for (const Link* link : {&uplink, &world}) (void)link->is_up();
}

Network Place::network(Network::Mode mode) const {
  Network network;
  network.mode = mode;
  network.host = {.run_directory = folder() / "run",
                  .state_directory = folder() / "state",
                  .ipv4_pool = pools().ipv4,
                  .ipv6_pool = pools().ipv6};
  return network;
}

detail::Wall Place::wall() const {
  return {detail::names_of(network(Network::Mode::kRouted).host), pools()};
}

std::size_t Place::count_links() const {
  return host.run([] { return Rtnetlink().names().size(); });
}

Tenants::Growth Tenants::grow(std::size_t to) {
  const std::size_t before = size();
  if (to <= before) return {};
  const double start = kernel_kib();
  while (inside_.size() < to) inside_.push_back(std::make_unique<Inside>());
  const double made = kernel_kib();
  place_.host.run([&] {
    const Network network = place_.network(mode_);
    while (attachments_.size() < to) {
      const Inside& inside = *inside_[attachments_.size()];
      attachments_.emplace_back(network, inside.pid(), inside.socket());
    }
  });
  const auto count = static_cast<double>(to - before);
  return {.namespaces = (made - start) / count, .places = (kernel_kib() - made) / count};
}

Tenants::~Tenants() {
  for (detail::Attachment& each : attachments_) each.release();
}

FloorTenant::FloorTenant(const Place& place, Network::Mode mode, detail::Slot slot)
    : wall_(place.wall()),
      addresses_(wall_.names, wall_.pools,
                 {.slot = slot, .network = place.network(mode), .pid = -1, .inode = 0}) {
  floor_.table = wall_.names.table.c_str();
  floor_.link = addresses_.link.c_str();
  floor_.entry = addresses_.entry.c_str();
  floor_.group = wall_.names.group;
  if (mode == Network::Mode::kBridge) {
    floor_.bridge = place.host.run([this] { return Rtnetlink().open(wall_.names.bridge).index(); });
  }
  copy(kHostMac.bytes, floor_.host_mac);
  copy(addresses_.mac.bytes, floor_.mac);
  copy(addresses_.ipv4.bytes(), floor_.ipv4);
  copy(addresses_.ipv6.bytes(), floor_.ipv6);
  copy(wall_.pools.ipv4.at(kGateway).bytes(), floor_.gateway4);
  copy(wall_.pools.ipv6.at(kGateway).bytes(), floor_.gateway6);
}

void FloorTenant::enter(const Inside& inside) {
  const Namespace network = inside.network();
  inside_ = UniqueFd(::fcntl(network.fd(), F_DUPFD_CLOEXEC, 3));
  socket_ = inside.socket();
  floor_.inside = inside_.get();
  floor_.socket = socket_.get();
}

void FloorTenant::join() {
  need(::floor_network_join(&floor_), "the floor's set-up");
  socket_.reset();
  inside_.reset();
}

void FloorTenant::leave() const { need(::floor_network_leave(&floor_), "the floor's end"); }

}  // namespace sbx::bench
