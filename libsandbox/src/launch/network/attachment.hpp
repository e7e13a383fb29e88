// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/network.hpp"

namespace sbx::detail {

/// A sandbox's place in the host's network: its veth pair, addresses, rules and published ports.
/// They go with the handle. Its network namespace takes the links with it, whoever ends it.
class Attachment {
 public:
  /// Gets it addresses and lets them through the walls: all that can be done before its network
  /// namespace is made. Throws SystemError; nothing is left then.
  explicit Attachment(const Network& network);

  /// Connects the network namespace of process `pid`. `inside` is a socket of NETLINK_ROUTE in
  /// there. Throws SystemError; the place in the network remains until end().
  void connect(pid_t pid, UniqueFd inside);

  Attachment(Attachment&&) noexcept;
  Attachment& operator=(Attachment&&) noexcept;
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  ~Attachment();

  /// What can wait until the program starts: takes out whom nobody else will, because his owner was
  /// killed, and looks for others' firewalls. Then no connect() is possible any more.
  void finish() noexcept;

  /// What others do that will be in the way, one line each.
  [[nodiscard]] const std::vector<std::string>& warnings() const;

  /// Takes it all back, once the sandbox has ended. What has passed since it was made.
  NetworkUsage end();

  /// Leaves it in place: the next one who connects a sandbox takes it back after the end of
  /// process `pid`, its first.
  void release(pid_t pid);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether a sandbox with `network` is attached to the host's.
inline bool is_attached(const Network& network) {
  return network.mode == Network::Mode::kRouted || network.mode == Network::Mode::kBridge;
}

/// Throws std::invalid_argument for what can be seen to be wrong without looking at the host.
void check_network(const Network& network);

}  // namespace sbx::detail
