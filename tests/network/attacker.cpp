// SPDX-License-Identifier: Apache-2.0
#include "network/attacker.hpp"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

#include "network/hosts.hpp"
#include "sbx/link.hpp"
#include "support/command.hpp"
#include "support/socket_address.hpp"
#include "support/throw_errno.hpp"

namespace sbx::test {
namespace {

constexpr int kPatience = 5000;  // milliseconds

UniqueFd packet_socket(int protocol) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(protocol)));
  if (!fd) throw_errno("cannot make a packet socket");
  return fd;
}

Network attackers(const Hosts& hosts, Network::Mode mode, const Network& like) {
  Network network = hosts.network(mode, "attacker");
  network.connections_max = like.connections_max;
  network.allow = like.allow;
  return network;
}

Network victims(const Hosts& hosts, Network::Mode mode) {
  Network network = hosts.network(mode, "victim");
  network.publish = {PublishedPort::parse("7777:7777/udp"), PublishedPort::parse("7777:7777")};
  return network;
}

}  // namespace

Attacker::Attacker(const Sandbox& sandbox)
    : where_(namespace_of(sandbox)),
      ipv4_(address_of(sandbox, IpFamily::kIpv4)),
      ipv6_(address_of(sandbox, IpFamily::kIpv6)) {
  where_.run([this] {
    const Link link = Rtnetlink().open("eth0");
    mac_ = link.mac();
    index_ = link.index();
    socket_ = packet_socket(0);  // hears nothing
  });
}

void Attacker::send(const Bytes& packet, const MacAddress& from, const MacAddress& to) const {
  const bool v4 = static_cast<std::uint8_t>(packet[0]) >> 4 == 4;
  send_frame(v4 ? kTypeIpv4 : kTypeIpv6, packet, from, to);
}

void Attacker::send_frame(std::uint16_t type, const Bytes& payload, const MacAddress& from,
                          const MacAddress& to) const {
  const Bytes bytes = frame(from, to, type, payload);
  sockaddr_ll out{};
  out.sll_family = AF_PACKET;
  out.sll_ifindex = index_;
  // On a slow machine there may be no room until those before are on their way.
  pollfd room{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&room, 1, kPatience) != 1 ||
      ::sendto(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&out),
               sizeof out) < 0) {
    throw_errno("cannot send a frame");
  }
}

Tap::Tap(const Namespace& where)
    : socket_(where.run([] {
        UniqueFd fd = packet_socket(ETH_P_ALL);
        const int on = 1;
        ::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
        return fd;
      })) {}

Tap::Tap(const Namespace& where, const std::string& address, std::uint16_t port)
    : socket_(where.run([&] {
        const SocketAddress name(address, port);
        UniqueFd fd(::socket(name.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        if (name.family() == AF_INET6) {
          ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        }
        if (::bind(fd.get(), name.get(), name.size) < 0) throw_errno("cannot bind to " + address);
        return fd;
      })) {}

bool Tap::wait_for(const std::string& text) {
  for (;;) {
    pollfd wanted{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wanted, 1, kPatience) != 1) return false;
    Bytes frame(65536, '\0');
    const ssize_t size = ::recv(socket_.get(), frame.data(), frame.size(), 0);
    if (size < 0) continue;
    frame.resize(static_cast<std::size_t>(size));
    frames_.push_back(frame);
    if (frame.find(text) != Bytes::npos) return true;
  }
}

int Tap::heard(const std::string& text) const {
  return static_cast<int>(std::count_if(frames_.begin(), frames_.end(), [&](const Bytes& frame) {
    return frame.find(text) != Bytes::npos;
  }));
}

std::string run_ip(const Namespace& where, const std::string& arguments) {
  const Ended ended = where.run([&] {
    return run({.argv = {"/bin/sh", "-c", "ip " + arguments}});
  });
  if (ended.status != 0) throw std::runtime_error("ip " + arguments + ": " + ended.err);
  return ended.out;
}

void show_no_frames_to_ip(const Namespace& where) {
  set(where, "bridge/bridge-nf-call-iptables", "0");
  set(where, "bridge/bridge-nf-call-ip6tables", "0");
}

Battlefield::Battlefield(Network::Mode mode, const Network& like)
    : victim_box(hosts.start(victims(hosts, mode), "sleep 1d")),
      attacker_box(hosts.start(attackers(hosts, mode, like), "sleep 1d")),
      victim(victim_box),
      attacker(attacker_box),
      internet(hosts.internet),
      inner(hosts.inner),
      inside_victim(victim.where()) {
  settle();
}

void Battlefield::settle(const Attacker& by) {
  const std::string text = "settled-" + std::to_string(++settled_) + ";";
  const auto await = [&text](Tap& tap, const std::string& place) {
    if (!tap.wait_for(text)) throw std::runtime_error("nothing gets to " + place);
  };
  // The same way as what was sent before, and on from where that may have come to.
  by.send(udp(by.ipv4(), Hosts::kInternet4, 9, text));
  await(internet, "the internet");
  by.send(udp(by.ipv6(), Hosts::kInternet6, 9, text));
  await(internet, "the internet over IPv6");
  say(hosts.internet, Hosts::kHost4, kPublished, text);
  await(inside_victim, "the other sandbox");
  say(hosts.host, Hosts::kInner4, 9, text);
  await(inner, "the inner network");
}

int Battlefield::heard(const std::string& text) const {
  return internet.heard(text) + inner.heard(text) + inside_victim.heard(text);
}

std::uint64_t Battlefield::forged() const {
  const auto usage =
      hosts.host.run([this] { return network_usage(hosts.network().host, "attacker"); });
  return usage ? usage->forged_packets : 0;
}

std::string routing_of(const Namespace& where) {
  // Times, and how sure the kernel is, are not what this is about; nor that the other hosts look
  // now and then whether this one is still there.
  const std::string steady =
      " | sed -E 's/(valid_lft|preferred_lft|used|expires) [^ ]*//g;"
      " s/ (REACHABLE|STALE|DELAY|PROBE)//; /^fe80.* dev (up0|inner0) lladdr/d' | sort";
  std::string text;
  for (const char* what :
       {"-o address", "-4 route show table all", "-6 route show table all", "-4 neighbour",
        "-6 neighbour", "-4 route show cache", "-6 route show cache"}) {
    text += run_ip(where, what + steady);
  }
  return text;
}

}  // namespace sbx::test
