// SPDX-License-Identifier: Apache-2.0
//
// The strongest tenant: root inside, with a packet socket on eth0, who sends whatever frames he
// likes; and who listens on the wire for them elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network/hosts.hpp"
#include "network/packets.hpp"
#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"
#include "sbx/network.hpp"
#include "sbx/sandbox.hpp"

namespace sbx::test {

inline constexpr const char* kGateway4 = "10.213.0.1";
inline constexpr const char* kGateway6 = "fd13::1";
inline constexpr MacAddress kGatewayMac{{0x02, 0x73, 0x62, 0xff, 0xff, 0xff}};
inline constexpr MacAddress kEveryone{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/// Who sends from inside a sandbox.
class Attacker {
 public:
  explicit Attacker(const Sandbox& sandbox);

  /// Sends an IP packet as the sandbox itself would, or with other Ethernet addresses.
  void send(const Bytes& packet) const { send(packet, mac_, kGatewayMac); }
  void send(const Bytes& packet, const MacAddress& from, const MacAddress& to) const;
  void send_frame(std::uint16_t type, const Bytes& payload, const MacAddress& from,
                  const MacAddress& to) const;

  [[nodiscard]] const Namespace& where() const { return where_; }
  [[nodiscard]] const std::string& ipv4() const { return ipv4_; }
  [[nodiscard]] const std::string& ipv6() const { return ipv6_; }
  [[nodiscard]] const MacAddress& mac() const { return mac_; }

 private:
  Namespace where_;
  std::string ipv4_;
  std::string ipv6_;
  MacAddress mac_{};
  int index_ = 0;
  UniqueFd socket_;
};

/// Hears what comes in.
class Tap {
 public:
  /// Every frame, at any link of a namespace.
  explicit Tap(const Namespace& where);

  /// Datagrams to a port there, those to several listeners included.
  Tap(const Namespace& where, const std::string& address, std::uint16_t port);

  /// Takes frames until one holds `text`, or patience ends: whether it came.
  bool wait_for(const std::string& text);

  /// How many of the frames taken so far held it.
  [[nodiscard]] int heard(const std::string& text) const;

 private:
  UniqueFd socket_;
  std::vector<Bytes> frames_;
};

/// Runs ip(8) there, by the shell, which must succeed: its output.
std::string run_ip(const Namespace& where, const std::string& arguments);

/// Lets no bridge there show its frames to IP's hooks (br_netfilter), where one sandbox does not
/// reach the published ports of another on the same bridge.
void show_no_frames_to_ip(const Namespace& where);

/// The hosts with two tenants, of whom one is hostile, and somebody at each place where nothing of
/// his may come to.
struct Battlefield {
  explicit Battlefield(Network::Mode mode, const Network& like = {});

  /// Waits until all that was sent so far has come or gone, at each of the taps.
  void settle() { settle(attacker); }
  void settle(const Attacker& by);

  /// At how many places `text` was heard, after settle().
  [[nodiscard]] int heard(const std::string& text) const;

  /// Of the attacker's frames.
  [[nodiscard]] std::uint64_t forged() const;

  static constexpr std::uint16_t kPublished = 7777;  // the victim's: of UDP, and of TCP

  Hosts hosts;
  Sandbox victim_box;
  Sandbox attacker_box;
  Attacker victim;
  Attacker attacker;
  Tap internet;
  Tap inner;
  Tap inside_victim;

 private:
  int settled_ = 0;
};

/// Addresses, routes and neighbours of a namespace, in words.
std::string routing_of(const Namespace& where);

}  // namespace sbx::test
