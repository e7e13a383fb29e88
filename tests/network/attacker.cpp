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
Bytes number16(std::size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

Bytes number32(std::size_t value) { return number16(value >> 16) + number16(value & 0xffff); }

Bytes byte(std::uint8_t value) { return {static_cast<char>(value)}; }

Bytes checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = static_cast<std::uint8_t>(bytes[i]);
    sum += i % 2 == 0 ? std::uint32_t{value} << 8 : value;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return number16(~sum & 0xffff);
}

bool is_ipv4(const std::string& address) { return address.find(':') == std::string::npos; }

/// What a checksum of the transport layer covers besides it.
Bytes pseudo_header(const std::string& from, const std::string& to, std::uint8_t protocol,
                    std::size_t size) {
  const Bytes addresses = address_bytes(from) + address_bytes(to);
  if (is_ipv4(from)) return addresses + byte(0) + byte(protocol) + number16(size);
  return addresses + number32(size) + Bytes(3, '\0') + byte(protocol);
}

Bytes ipv4(const std::string& from, const std::string& to, std::uint8_t protocol,
           const Bytes& payload, const IpFields& fields) {
  const std::size_t header = 20 + fields.options.size();
  const Bytes start = byte(static_cast<std::uint8_t>(0x40 + header / 4)) + byte(0) +
                      number16(header + payload.size()) + number16(fields.id) +
                      number16((fields.more_fragments ? 0x2000U : 0U) + fields.offset / 8U) +
                      byte(fields.ttl) + byte(protocol);
  const Bytes end = address_bytes(from) + address_bytes(to) + fields.options;
  return start + checksum(start + number16(0) + end) + end + payload;
}

Bytes ipv6(const std::string& from, const std::string& to, std::uint8_t protocol,
           const Bytes& payload, const IpFields& fields) {
  Bytes extension;
  if (fields.fragment6 || fields.more_fragments || fields.offset != 0) {
    extension = byte(protocol) + byte(0) +
                number16(fields.offset | (fields.more_fragments ? 1U : 0U)) + number32(fields.id);
    protocol = IPPROTO_FRAGMENT;
  }
  return number32(0x60000000) + number16(extension.size() + payload.size()) + byte(protocol) +
         byte(fields.ttl) + address_bytes(from) + address_bytes(to) + extension + payload;
}

UniqueFd packet_socket(int protocol) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(protocol)));
  if (!fd) throw_errno("cannot make a packet socket");
  return fd;
}

}  // namespace

Bytes address_bytes(const std::string& address) {
  const auto bytes = IpAddress::parse(address);
  const auto span = bytes.bytes();
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}

Bytes mac_bytes(const MacAddress& mac) {
  return {reinterpret_cast<const char*>(mac.bytes.data()), mac.bytes.size()};
}

Bytes ip(const std::string& from, const std::string& to, std::uint8_t protocol,
         const Bytes& payload, const IpFields& fields) {
  return is_ipv4(from) ? ipv4(from, to, protocol, payload, fields)
                       : ipv6(from, to, protocol, payload, fields);
}

namespace {

Bytes udp_from(const std::string& from, const std::string& to, std::uint16_t source_port,
               std::uint16_t port, const Bytes& text) {
  const std::size_t size = 8 + text.size();
  const Bytes start = number16(source_port) + number16(port) + number16(size);
  return start + checksum(pseudo_header(from, to, IPPROTO_UDP, size) + start + number16(0) + text) +
         text;
}

}  // namespace

Bytes udp_segment(const std::string& from, const std::string& to, std::uint16_t port,
                  const Bytes& text) {
  return udp_from(from, to, 4000, port, text);
}

Bytes udp(const std::string& from, const std::string& to, std::uint16_t port, const Bytes& text,
          const IpFields& fields, std::uint16_t source_port) {
  return ip(from, to, IPPROTO_UDP, udp_from(from, to, source_port, port, text), fields);
}

Bytes tcp(const std::string& from, const std::string& to, std::uint16_t source_port,
          std::uint16_t port, int flags, const Bytes& text) {
  const Bytes start = number16(source_port) + number16(port) + number32(1) + number32(1) +
                      byte(0x50) + byte(static_cast<std::uint8_t>(flags)) + number16(1024);
  const Bytes end = number16(0) + text;
  const Bytes sum =
      checksum(pseudo_header(from, to, IPPROTO_TCP, 20 + text.size()) + start + number16(0) + end);
  return ip(from, to, IPPROTO_TCP, start + sum + end);
}

Bytes icmp(const std::string& from, const std::string& to, std::uint8_t type, std::uint8_t code,
           const Bytes& rest, const IpFields& fields) {
  const std::uint8_t protocol = is_ipv4(from) ? 1 : 58;
  const Bytes covered =
      is_ipv4(from) ? Bytes() : pseudo_header(from, to, protocol, 4 + rest.size());
  const Bytes start = byte(type) + byte(code);
  return ip(from, to, protocol, start + checksum(covered + start + number16(0) + rest) + rest,
            fields);
}

Bytes arp(std::uint16_t operation, const MacAddress& sender, const std::string& sender_ip,
          const MacAddress& target, const std::string& target_ip) {
  return number16(1) + number16(kTypeIpv4) + byte(6) + byte(4) + number16(operation) +
         mac_bytes(sender) + address_bytes(sender_ip) + mac_bytes(target) +
         address_bytes(target_ip);
}

Attacker::Attacker(const Sandbox& sandbox)
    : where_(Namespace::of(sandbox.pid(), NamespaceKind::kNet)),
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
  const Bytes frame = mac_bytes(to) + mac_bytes(from) + number16(type) + payload;
  sockaddr_ll out{};
  out.sll_family = AF_PACKET;
  out.sll_ifindex = index_;
  if (::sendto(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&out),
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

void run_ip(const Namespace& where, const std::string& arguments) {
  const Ended ended = where.run([&] {
    return run({.argv = {"/bin/sh", "-c", "ip " + arguments}});
  });
  if (ended.status != 0) throw std::runtime_error("ip " + arguments + ": " + ended.err);
}

namespace {

Network network_of(const Hosts& hosts, Network::Mode mode, const char* name, const Network& like) {
  Network network = hosts.network(mode, name);
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

void show_no_frames_to_ip(const Namespace& where) {
  set(where, "bridge/bridge-nf-call-iptables", "0");
  set(where, "bridge/bridge-nf-call-ip6tables", "0");
}

Battlefield::Battlefield(Network::Mode mode, const Network& like)
    : victim_box(hosts.start(victims(hosts, mode), "sleep 1d")),
      attacker_box(hosts.start(network_of(hosts, mode, "attacker", like), "sleep 1d")),
      victim(victim_box),
      attacker(attacker_box),
      internet(hosts.internet),
      inner(hosts.inner),
      inside_victim(victim.where()) {
  settle();
}

void Battlefield::settle(const Attacker& by) {
  const std::string text = "settled-" + std::to_string(++settled_) + ";";
  // The same way as what was sent before, and on from where that may have come to.
  by.send(udp(by.ipv4(), Hosts::kInternet4, 9, text));
  if (!internet.wait_for(text)) throw std::runtime_error("nothing gets to the internet");
  by.send(udp(by.ipv6(), Hosts::kInternet6, 9, text));
  if (!internet.wait_for(text)) throw std::runtime_error("nothing gets to the internet over IPv6");
  say(hosts.internet, Hosts::kHost4, kPublished, text);
  if (!inside_victim.wait_for(text)) throw std::runtime_error("nothing gets to the other sandbox");
  say(hosts.host, Hosts::kInner4, 9, text);
  if (!inner.wait_for(text)) throw std::runtime_error("nothing gets to the inner network");
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
  return where.run([] {
    std::string text;
    for (const char* what :
         {"-o address", "-4 route show table all", "-6 route show table all", "-4 neighbour",
          "-6 neighbour", "-4 route show cache", "-6 route show cache"}) {
      // Times, and how sure the kernel is, are not what this is about; nor that the other hosts
      // look now and then whether this one is still there.
      text += run({.argv = {"/bin/sh", "-c",
                            std::string("ip ") + what +
                                " | sed -E 's/(valid_lft|preferred_lft|used|expires) [^ ]*//g;"
                                " s/ (REACHABLE|STALE|DELAY|PROBE)//; /^fe80.* dev (up0|inner0) "
                                "lladdr/d' | sort"}})
                  .out;
    }
    return text;
  });
}

}  // namespace sbx::test
