// SPDX-License-Identifier: Apache-2.0
//
// Several hosts, each a network namespace of the test's own: one that sandboxes run on, one that
// plays the internet, one of the provider's inner network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "network/sockets.hpp"
#include "sbx/link.hpp"
#include "sbx/namespace.hpp"
#include "sbx/network.hpp"
#include "sbx/sandbox.hpp"
#include "support/temp_dir.hpp"

namespace sbx::test {

/// Of IP, as texts.
using Addresses = std::vector<std::string>;

/// The shapes that a network of the host's has: what holds in one is to hold in the other.
inline constexpr Network::Mode kModes[] = {Network::Mode::kRouted, Network::Mode::kBridge};

/// Mounts of the calling thread's own, on which nobody else's depend.
void have_own_mounts();

/// Made anew for a test, with ways from each to the others.
class Hosts {
 public:
  Hosts();

  // Addresses of the hosts. The internet's is behind a router, the inner one beside the host.
  static constexpr const char* kHost4 = "198.51.100.2";
  static constexpr const char* kHost6 = "2001:db8::2";
  static constexpr const char* kInternet4 = "203.0.113.80";
  static constexpr const char* kInternet6 = "2001:db8:80::80";
  static constexpr const char* kInner4 = "10.9.8.7";
  static constexpr const char* kInner6 = "fd99::7";
  // The host's on the inner network, and the router's beside the host.
  static constexpr const char* kHostInner4 = "10.9.8.1";
  static constexpr const char* kHostInner6 = "fd99::1";
  static constexpr const char* kRouter4 = "198.51.100.1";
  static constexpr const char* kRouter6 = "2001:db8::1";

  Namespace host;
  Namespace internet;
  Namespace inner;

  /// A network of the host's, with directories and pools of the test's own.
  [[nodiscard]] Network network(Network::Mode mode = Network::Mode::kRouted,
                                const std::string& name = {}) const;

  /// A Spec whose command is `script`, for bash.
  [[nodiscard]] static Spec spec(const Network& network, const std::string& script);

  /// Starts it on the host.
  Sandbox start(const Network& network, const std::string& script) const;
  Sandbox start(const Spec& spec) const;

  /// Runs it there to its end: what it has written to standard output.
  [[nodiscard]] std::string say(const Network& network, const std::string& script) const;
  Output run(const Network& network, const std::string& script) const;

  /// Runs `body` on the host, on a thread whose mounts are its own. What it throws reaches the
  /// caller.
  template <typename F>
  auto with_own_mounts(F body) const {
    return host.run([&body] {
      have_own_mounts();
      return body();
    });
  }

  /// The same, where that is in /etc/resolv.conf, and systemd-resolved has nothing to add.
  template <typename F>
  auto with_resolv_conf(const std::string& text, F body) const {
    return with_own_mounts([&] {
      show_resolv_conf(text);
      return body();
    });
  }

  /// Runs `argv` on the host: its output.
  [[nodiscard]] std::string on_host(const std::vector<std::string>& argv) const;

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

  /// What there is on the host, in words: links, addresses, routes, tables, settings, the
  /// book of sandboxes.
  [[nodiscard]] std::string inventory() const;

  /// Waits until inventory() is that: links go a moment after the namespace that they lead to.
  [[nodiscard]] bool comes_to(const std::string& inventory) const;

 private:
  void show_resolv_conf(const std::string& text) const;

  TempDir directory_;
};

/// What a setting of that network namespace has, by its path below /proc/sys/net, and a new value
/// for it. One that the kernel does not have is empty, and stays so.
std::string setting(const Namespace& where, const std::string& path);
void set(const Namespace& where, const std::string& path, const std::string& value);

/// Takes all tables of nf_tables out, as somebody does who flushes the host's firewall.
void flush_firewall(const Namespace& where);

/// Shows `what` in the place of `where`: among mounts of one's own.
void bind(const std::filesystem::path& what, const std::filesystem::path& where);

/// The sandbox's own network namespace, and its address there.
Namespace namespace_of(const Sandbox& sandbox);
std::string address_of(const Sandbox& sandbox, IpFamily family);

/// For bash: "reached", or "no" when the other does not answer within two seconds or refuses.
std::string reach(const std::string& address, std::uint16_t port,
                  Transport transport = Transport::kTcp);

}  // namespace sbx::test
