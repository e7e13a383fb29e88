// SPDX-License-Identifier: Apache-2.0
#include "network/hosts.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <fstream>
#include <stdexcept>
#include <utility>

#include "sbx/nftables.hpp"
#include "support/command.hpp"
#include "support/process.hpp"
#include "support/throw_errno.hpp"

namespace sbx::test {
namespace {

/// Of the calling thread's namespace.
std::string own_setting(const std::string& path) {
  std::string value;
  std::ifstream("/proc/sys/net/" + path) >> value;
  return value;
}

/// Of the kernel, which may have been started without, and of namespaces that are made now.
bool has_ipv6() {
  static const bool has =
      setting(Namespace::create(NamespaceKind::kNet), "ipv6/conf/lo/disable_ipv6") == "0";
  return has;
}

void add(Link& link, std::initializer_list<const char*> addresses) {
  for (const char* address : addresses) {
    const IpPrefix prefix = IpPrefix::parse(address);
    if (prefix.address.family() == IpFamily::kIpv4 || has_ipv6()) link.add_address(prefix);
  }
  link.set_up();
}

void add_default_routes(Link& link, const char* gateway4, const char* gateway6) {
  link.add_route(
      {.destination = IpPrefix::parse("0.0.0.0/0"), .gateway = IpAddress::parse(gateway4)});
  if (!has_ipv6()) return;
  link.add_route({.destination = IpPrefix::parse("::/0"), .gateway = IpAddress::parse(gateway6)});
}

/// A link sends nothing, and lacks some routes, until the kernel has noticed that both ends are up:
/// within a second, or when it is asked (since Linux 6.8).
void wait_until_running(const Namespace& where, const Link& link) {
  const UniqueFd socket(where.run([] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }));
  const bool is_running = wait_until([&] {
    ifreq request{};
    link.name().copy(request.ifr_name, sizeof request.ifr_name - 1);
    return link.is_up() && ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 &&
           (request.ifr_flags & IFF_RUNNING) != 0;
  });
  if (!is_running) throw std::runtime_error("'" + link.name() + "' does not come up");
}

}  // namespace

Hosts::Hosts()
    : host(Namespace::create(NamespaceKind::kNet)),
      internet(Namespace::create(NamespaceKind::kNet)),
      inner(Namespace::create(NamespaceKind::kNet)) {
  Rtnetlink on_host(host);
  Rtnetlink on_internet(internet);
  Rtnetlink on_inner(inner);
  // Else link-local addresses come into use some seconds later, and tests see routes change.
  for (const Namespace* each : {&host, &internet, &inner}) {
    set(*each, "ipv6/conf/default/accept_dad", "0");
  }
  Link host_lo = on_host.open("lo");
  Link internet_lo = on_internet.open("lo");
  Link inner_lo = on_inner.open("lo");
  host_lo.set_up();
  inner_lo.set_up();
  add(internet_lo, {"203.0.113.80/32", "2001:db8:80::80/128"});

  Link uplink = on_host.create({.name = "up0", .peer_name = "world", .peer_namespace = &internet});
  uplink.release();
  add(uplink, {"198.51.100.2/24", "2001:db8::2/64"});
  Link world = on_internet.open("world");
  add(world, {"198.51.100.1/24", "2001:db8::1/64"});
  add_default_routes(uplink, kRouter4, kRouter6);

  Link beside = on_host.create({.name = "inner0", .peer_name = "eth0", .peer_namespace = &inner});
  beside.release();
  add(beside, {"10.9.8.1/24", "fd99::1/64"});
  Link inner_link = on_inner.open("eth0");
  add(inner_link, {"10.9.8.7/24", "fd99::7/64"});
  add_default_routes(inner_link, kHostInner4, kHostInner6);
  set(host, "ipv4/ip_forward", "0");
  for (const auto& [where, link] : {std::pair(&host, &uplink), std::pair(&internet, &world),
                                    std::pair(&host, &beside), std::pair(&inner, &inner_link)}) {
    wait_until_running(*where, *link);
  }
}

Network Hosts::network(Network::Mode mode, const std::string& name) const {
  Network network;
  network.mode = mode;
  network.name = name;
  network.host = {.run_directory = directory() / "run",
                  .state_directory = directory() / "state",
                  .ipv4_pool = IpPrefix::parse("10.213.0.0/16"),
                  .ipv6_pool = IpPrefix::parse("fd13::/64")};
  return network;
}

Spec Hosts::spec(const Network& network, const std::string& script) {
  Spec spec;
  spec.command.argv = {"/bin/bash", "-c", script};
  spec.network = network;
  return spec;
}

Sandbox Hosts::start(const Spec& spec) const {
  return host.run([&] { return Sandbox::start(spec); });
}

Sandbox Hosts::start(const Network& network, const std::string& script) const {
  return start(spec(network, script));
}

Output Hosts::run(const Network& network, const std::string& script) const {
  return host.run([&] { return sbx::run(spec(network, script)); });
}

std::string Hosts::say(const Network& network, const std::string& script) const {
  return run(network, script).out;
}

void Hosts::show_resolv_conf(const std::string& text) const {
  const auto conf = directory() / "resolv.conf";
  constexpr const char* kUpstream = "/run/systemd/resolve/resolv.conf";
  std::ofstream(conf) << text;
  bind(conf, "/etc/resolv.conf");
  if (std::filesystem::exists(kUpstream)) bind("/dev/null", kUpstream);
}

std::string Hosts::on_host(const std::vector<std::string>& argv) const {
  return host.run([&] { return test::run({.argv = argv}).out; });
}

std::string Hosts::inventory() const {
  return host.run([this] {
    std::string text;
    const Rtnetlink links;
    for (const std::string& name : links.names()) {
      // One that goes in the meantime is still there for now.
      const auto link = links.find(name);
      text += name + ":";
      if (!link) continue;
      for (const IpPrefix& address : link->addresses()) {
        const std::string shown = address.to_string();
        if (!shown.starts_with("fe80:")) text += " " + shown;
      }
      for (const Route& route : link->routes()) text += " -> " + route.destination.to_string();
      text += "\n";
    }
    for (const auto& table : nft::Nftables().tables()) text += "table " + table.name + "\n";
    for (const std::string path : {"ipv4/ip_forward", "ipv6/conf/all/forwarding",
                                   "ipv6/conf/up0/accept_ra", "ipv6/conf/inner0/accept_ra"}) {
      text += path + " " + own_setting(path) + "\n";
    }
    if (std::filesystem::exists(directory() / "run/.network")) text += "a book\n";
    return text;
  });
}

bool Hosts::comes_to(const std::string& wanted) const {
  return wait_until([&] { return inventory() == wanted; });
}

void have_own_mounts() {
  if (::unshare(CLONE_NEWNS) < 0) throw_errno("cannot have mounts of one's own");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    throw_errno("cannot keep mounts to oneself");
  }
}

std::string setting(const Namespace& where, const std::string& path) {
  return where.run([&] { return own_setting(path); });
}

void set(const Namespace& where, const std::string& path, const std::string& value) {
  where.run([&] { std::ofstream("/proc/sys/net/" + path) << value; });
}

void flush_firewall(const Namespace& where) {
  nft::Nftables tables(where);
  nft::Batch batch;
  for (const nft::Table& each : tables.tables()) batch.remove(each);
  tables.commit(batch);
}

void bind(const std::filesystem::path& what, const std::filesystem::path& where) {
  if (::mount(what.c_str(), where.c_str(), nullptr, MS_BIND, nullptr) < 0) {
    throw_errno("cannot mount on " + where.native());
  }
}

Namespace namespace_of(const Sandbox& sandbox) {
  return Namespace::of(sandbox.pid(), NamespaceKind::kNet);
}

std::string address_of(const Sandbox& sandbox, IpFamily family) {
  return namespace_of(sandbox).run([family] {
    for (const IpPrefix& each : Rtnetlink().open("eth0").addresses()) {
      if (each.address.family() == family) return each.address.to_string();
    }
    return std::string();
  });
}

std::string reach(const std::string& address, std::uint16_t port, Transport transport) {
  const std::string place = (transport == Transport::kTcp ? "/dev/tcp/" : "/dev/udp/") + address +
                            "/" + std::to_string(port);
  return "if timeout 2 bash -c 'exec 3<>" + place + " && echo hello >&3' 2>/dev/null; " +
         "then echo reached; else echo no; fi; ";
}

}  // namespace sbx::test
