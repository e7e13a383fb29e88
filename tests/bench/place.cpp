// SPDX-License-Identifier: Apache-2.0
#include "bench/place.hpp"

#include <linux/futex.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "bench/measure.hpp"
#include "sbx/link.hpp"
#include "support/process.hpp"
#include "sys/raw.hpp"

namespace sbx::bench {
namespace {

constexpr std::size_t kStackSize = 16384;

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

Inside::Inside() : stack_(new std::byte[kStackSize]) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD;
  args.pidfd = static_cast<std::uint64_t>(raw::address(&pidfd));
  args.stack = static_cast<std::uint64_t>(raw::address(stack_.get()));
  args.stack_size = kStackSize;
  const long result = raw::clone3(&args, sizeof args, live, this);
  if (result < 0) throw std::runtime_error("cannot make a process");
  pid_ = static_cast<int>(result);
  pidfd_.reset(pidfd);
}

// On the caller's memory: nothing but raw calls.
void Inside::live(void* self) noexcept {
  auto& inside = *static_cast<Inside*>(self);
  raw::prctl(PR_SET_PDEATHSIG, SIGKILL);
  long result = raw::unshare(CLONE_NEWNET);
  if (result >= 0) {
    result = raw::call(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  }
  inside.socket_ = result;
  std::atomic_ref(inside.made_).store(1);
  raw::futex(&inside.made_, FUTEX_WAKE, 1);
  for (;;) raw::call(__NR_ppoll);
}

Inside::~Inside() {
  (void)pid();
  raw::kill_process(pidfd_.get(), pid_);
  raw::reap(pidfd_.get());
  if (socket_ >= 0) ::close(static_cast<int>(socket_));
}

pid_t Inside::pid() const {
  auto& made = const_cast<std::uint32_t&>(made_);
  while (std::atomic_ref(made).load() == 0) raw::futex(&made, FUTEX_WAIT, 0);
  return pid_;
}

UniqueFd Inside::socket() {
  (void)pid();
  if (socket_ < 0) throw std::runtime_error("cannot make a network namespace");
  return UniqueFd(static_cast<int>(std::exchange(socket_, -1)));
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

bool kernel_ends_networks() {
  std::ifstream threads("/proc/2/task/2/children");
  for (std::string pid; threads >> pid;) {
    std::string name;
    std::getline(std::ifstream("/proc/" + pid + "/comm"), name);
    // The plus is for work that is being done.
    if (name.ends_with("+netns")) return true;
  }
  return false;
}

Tenants::Growth Tenants::grow(std::size_t to) {
  const std::size_t before = size();
  if (to <= before) return {};
  const double start = kernel_kib();
  while (inside_.size() < to) inside_.push_back(std::make_unique<Inside>());
  for (const auto& each : inside_) (void)each->pid();
  const double made = kernel_kib();
  place_.host.run([&] {
    const Network network = place_.network(mode_);
    while (attachments_.size() < to) {
      Inside& inside = *inside_[attachments_.size()];
      attachments_.emplace_back(network).connect(inside.pid(), inside.socket());
      attachments_.back().finish();
    }
  });
  const auto count = static_cast<double>(to - before);
  return {.namespaces = (made - start) / count, .places = (kernel_kib() - made) / count};
}

Tenants::~Tenants() {
  for (std::size_t i = 0; i < attachments_.size(); ++i) attachments_[i].release(inside_[i]->pid());
}

FloorTenant::FloorTenant(const Place& place, Network::Mode mode, detail::Slot slot)
    : wall_(place.wall()),
      addresses_(wall_.names, wall_.pools,
                 {.slot = slot, .network = place.network(mode), .released = {}}) {
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

void FloorTenant::enter() const { need(::floor_network_enter(&floor_), "the floor's elements"); }

void FloorTenant::connect(Inside& inside) {
  const UniqueFd socket = inside.socket();
  const Namespace network = inside.network();
  floor_.inside = network.fd();
  floor_.socket = socket.get();
  need(::floor_network_connect(&floor_), "the floor's links");
}

void FloorTenant::leave() const { need(::floor_network_leave(&floor_), "the floor's end"); }

}  // namespace sbx::bench
