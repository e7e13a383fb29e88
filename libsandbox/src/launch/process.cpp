// SPDX-License-Identifier: Apache-2.0
#include "launch/process_state.hpp"

#include <signal.h>

#include "launch/control.hpp"
#include "launch/failure.hpp"
#include "launch/group.hpp"
#include "launch/outcome.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"

namespace sbx {

using detail::Deadline;
using detail::receive_event;
using detail::send_request;

Process::Process(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;

// The init ends what a closed channel leaves alone, unless it was told to let it go.
Process::~Process() = default;

int Process::fd() const noexcept { return state_->channel.get(); }

int Process::inner_pid() const noexcept { return state_->pid; }

Process::Change Process::wait_change(std::chrono::milliseconds timeout) {
  if (state_->ended) return Change::kEnded;
  const auto received = receive_event(state_->channel.get(), timeout);
  if (!received) return Change::kNone;
  if (received->event.kind == child::EventKind::kStopped) return Change::kStopped;
  if (received->event.kind != child::EventKind::kEnded) {
    throw SystemError(EBADMSG, "cannot understand the sandbox's init");
  }
  state_->ended = detail::report_from_event(received->event);
  if (state_->oom && state_->oom->has_risen()) detail::blame_memory(*state_->ended);
  if (state_->share) {
    detail::add_statistics(*state_->ended, *state_->share, Init::kNone);
  }
  state_->ended->wall = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - state_->started);
  return Change::kEnded;
}

std::optional<Report> Process::wait_for(std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  for (;;) {
    const Change change = wait_change(deadline.left());
    if (change == Change::kEnded) return state_->ended;
    if (change == Change::kNone) return std::nullopt;
  }
}

Report Process::wait() { return wait_for(Deadline::kForEver).value(); }

void Process::signal(int signal, SignalTarget target) {
  detail::send_signal(state_->channel.get(), signal, target);
}

std::optional<Terminal> Process::take_terminal() {
  if (!state_->terminal) return std::nullopt;
  return Terminal(std::move(state_->terminal));
}

void Process::release() {
  send_request(state_->channel.get(), {.kind = child::RequestKind::kRelease});
  if (state_->share) state_->share->release();
}

}  // namespace sbx
