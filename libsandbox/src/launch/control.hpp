// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <vector>

#include "launch/child/protocol.hpp"
#include "sbx/fd.hpp"
#include "sbx/report.hpp"
#include "sbx/spec.hpp"

namespace sbx::detail {

/// Two ends of a socket that keeps messages apart.
struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};
SocketPair make_socket_pair();

/// Says `request` to an init, with `fds` along. Throws SystemError; EPIPE when the init is gone.
void send_request(int socket, const child::Request& request, const std::vector<int>& fds = {});

/// Asks an init to send `signal`. One that has just ended gets none, as from kill(2) a process for
/// which nobody has waited yet.
void send_signal(int socket, int signal, SignalTarget target);

/// What an init has said, and the descriptor that came along.
struct ReceivedEvent {
  child::Event event;
  UniqueFd fd;
};

/// Waits for the next event, at most until `timeout` is over (below zero: for ever). None when the
/// time is over; throws SystemError, ECONNRESET when the init is gone and EBADMSG when it talks
/// nonsense.
std::optional<ReceivedEvent> receive_event(int socket, std::chrono::milliseconds timeout);

/// The master side of a program's terminal, which it has sent before it executed.
UniqueFd receive_terminal(int socket);

/// Waits until one of `fds` (negative ones never) is readable or hung up, at most for `timeout`
/// (below zero: for ever). True when one is.
bool wait_readable(std::initializer_list<int> fds, std::chrono::milliseconds timeout);

/// Waits for the answer to a request: the first event, which must be of `kind`. Throws what it says
/// of a failure of `command`.
ReceivedEvent expect(child::EventKind kind, int socket, const Command& command);

}  // namespace sbx::detail
