// SPDX-License-Identifier: Apache-2.0
#include "sbx/sandbox.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "launch/control.hpp"
#include "launch/control_socket.hpp"
#include "launch/failure.hpp"
#include "launch/find.hpp"
#include "launch/group.hpp"
#include "launch/network/attachment.hpp"
#include "launch/network/pasta.hpp"
#include "launch/outcome.hpp"
#include "launch/plan.hpp"
#include "launch/process_state.hpp"
#include "launch/start.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx {

using child::EventKind;
using child::RequestKind;
using detail::Deadline;
using detail::expect;
using detail::receive_event;
using detail::ReceivedEvent;
using detail::send_request;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Sandbox::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  State(State&&) = delete;
  State& operator=(State&&) = delete;
  ~State();

  [[nodiscard]] Init init() const { return control ? Init::kYes : Init::kNone; }
  void require_init() const {
    if (!control) throw std::invalid_argument("a sandbox without an init takes no requests");
  }
  void kill() const noexcept { raw::kill_process(pidfd.get(), pid); }
  void take_event(const ReceivedEvent& received);
  void conclude();
  void end_network();
  bool reap(int& status, rusage& usage) const noexcept;
  void wait_for_init(const Command& command);
  Cgroup& own_group();
  std::optional<Cgroup> make_share(const Command& command);
  static std::vector<UniqueFd> append_entrances(const std::optional<Cgroup>& share,
                                                std::vector<int>& fds);

  UniqueFd pidfd;
  int pid = -1;
  UniqueFd control;  // none without an init
  UniqueFd terminal;
  detail::ControlSocket listening;   // whose path goes last
  std::optional<Cgroup> group;       // with the sandbox's limits
  std::optional<Cgroup> main_share;  // of it, for the program of exec_main()
  std::optional<detail::Attachment> network;
  std::optional<detail::Pasta> pasta;
  detail::Occupant occupant;
  Clock::time_point started = Clock::now();
  std::optional<Report> main_ended;  // as the init told it
  std::optional<Report> report;      // the whole story, once process 1 is gone
  bool deaf = false;                 // nothing more comes from the init
  bool stopped = false;              // a stop that wait_change() has not told yet
  bool owned = true;
  bool timed_out = false;
};

Sandbox::State::~State() {
  if (owned && pidfd && !report) {
    kill();
    int status = 0;
    rusage usage{};
    reap(status, usage);
  }
}

/// Waits for process 1. False when its status went to somebody else: it is not the caller's child,
/// or the caller ignores SIGCHLD.
bool Sandbox::State::reap(int& status, rusage& usage) const noexcept {
  siginfo_t info{};
  long result = 0;
  do {
    result = raw::waitid(P_PIDFD, pidfd.get(), &info, WEXITED | __WALL, &usage);
  } while (result == -EINTR);
  if (result < 0) return false;
  status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
  return true;
}

/// Of a sandbox that was found rather than made, its group is, too.
Cgroup& Sandbox::State::own_group() {
  if (!group && !owned) {
    group = detail::find_group(pid);
    // The pid was this sandbox's, and not yet another's, while its groups were read.
    if (detail::wait_readable({pidfd.get()}, milliseconds(0))) group.reset();
  }
  if (group) return *group;
  throw SystemError(ENOENT, "cannot find the sandbox's control group",
                    "it has ended, or was started without limits");
}

std::optional<Cgroup> Sandbox::State::make_share(const Command& command) {
  if (command.limits == Limits{}) return std::nullopt;
  return detail::make_share(own_group(), command.limits);
}

/// Adds what leads into the share to the descriptors of a request. They are closed when the request
/// has been sent.
std::vector<UniqueFd> Sandbox::State::append_entrances(const std::optional<Cgroup>& share,
                                                       std::vector<int>& fds) {
  std::vector<UniqueFd> entrances;
  if (share) entrances = detail::open_entrances(*share, detail::Entrances::kAll);
  for (const UniqueFd& entrance : entrances) fds.push_back(entrance.get());
  return entrances;
}

/// Waits until the init has started the command, or, without one, answers: it also listens then.
void Sandbox::State::wait_for_init(const Command& command) try {
  if (command.argv.empty()) {
    send_request(control.get(), {.kind = RequestKind::kHello});
    expect(EventKind::kHello, control.get(), command);
  } else {
    terminal = expect(EventKind::kStarted, control.get(), command).fd;
  }
} catch (const SystemError&) {
  if (group) detail::require_fed(*group);
  throw;
}

void Sandbox::State::take_event(const ReceivedEvent& received) {
  if (received.event.kind == EventKind::kEnded) {
    main_ended = detail::report_from_event(received.event);
    deaf = true;
  }
  if (received.event.kind == EventKind::kStopped) stopped = true;
}

/// Process 1 has ended, and everything with it: makes the report.
void Sandbox::State::conclude() {
  while (control && !main_ended) {
    try {
      const auto received = receive_event(control.get(), milliseconds(0));
      if (!received) break;
      take_event(*received);
    } catch (const SystemError&) {
      break;  // the init was killed before it could say anything
    }
  }
  int status = SIGKILL;
  rusage usage{};
  const bool reaped = reap(status, usage);
  report = main_ended ? *main_ended : detail::report_from_status(status);
  if (reaped && !main_ended) detail::add_usage(*report, usage);
  if (!reaped && !main_ended) report->message = "the exit status went to somebody else";
  if (group) detail::add_statistics(*report, *group, init());
  if (timed_out) report->reason = ExitReason::kTimeout;
  report->wall = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started);
  main_share.reset();
  group.reset();
  if (network) end_network();
  pasta.reset();
}

/// What cannot be taken back now is taken back by the next start.
void Sandbox::State::end_network() {
  try {
    report->network = network->end();
  } catch (const SystemError& error) {
    report->message = error.what();
  }
  network.reset();
}

Sandbox::Sandbox(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

Sandbox Sandbox::start(const Spec& spec) {
  detail::Plan plan;
  detail::compile(spec, plan);
  auto state = std::make_unique<State>();
  if (!spec.control_socket.empty()) {
    state->listening = detail::ControlSocket::bind(spec.control_socket);
  }
  detail::Started started = detail::start_child(plan, spec, state->listening.fd());
  state->listening.close();
  state->pidfd = std::move(started.pidfd);
  state->pid = started.pid;
  state->control = std::move(started.control);
  state->terminal = std::move(started.terminal);
  state->group = std::move(started.group);
  state->network = std::move(started.network);
  state->pasta = std::move(started.pasta);
  state->occupant = {.uid = plan.identity.user.uid,
                     .gid = plan.identity.user.gid,
                     .groups = plan.identity.user.groups,
                     .home = plan.identity.user.home.native()};
  if (state->control) state->wait_for_init(spec.command);
  return Sandbox(std::move(state));
}

Sandbox Sandbox::open(const std::filesystem::path& control_socket) {
  detail::Found found = detail::find_init(control_socket);
  auto state = std::make_unique<State>();
  state->owned = false;
  state->pidfd = std::move(found.pidfd);
  state->pid = found.pid;
  state->control = std::move(found.control);
  state->occupant = std::move(found.occupant);
  return Sandbox(std::move(state));
}

Process Sandbox::exec(const Command& command) {
  state_->require_init();
  const detail::ProgramBlock block(detail::command_parts(command, state_->occupant));
  const UniqueFd file = block.to_file();
  detail::SocketPair channel = detail::make_socket_pair();
  std::vector<int> fds = {file.get(), channel.theirs.get()};
  auto share = state_->make_share(command);
  auto state = std::make_unique<Process::State>();
  if (state_->group || !state_->owned) state->oom.emplace(state_->pid);
  const auto entrances = state_->append_entrances(share, fds);
  detail::append_passed(command, fds);
  send_request(state_->control.get(),
               {.kind = RequestKind::kSpawn, .value = static_cast<std::uint32_t>(entrances.size())},
               fds);
  channel.theirs.reset();

  ReceivedEvent received = expect(EventKind::kStarted, channel.ours.get(), command);
  state->channel = std::move(channel.ours);
  state->terminal = std::move(received.fd);
  state->pid = received.event.pid;
  state->share = std::move(share);
  return Process(std::move(state));
}

void Sandbox::exec_main(const Command& command) {
  state_->require_init();
  const detail::ProgramBlock block(detail::command_parts(command, state_->occupant));
  const UniqueFd file = block.to_file();
  std::vector<int> fds = {file.get()};
  state_->main_share = state_->make_share(command);
  const auto entrances = state_->append_entrances(state_->main_share, fds);
  detail::append_passed(command, fds);
  send_request(state_->control.get(),
               {.kind = RequestKind::kMain, .value = static_cast<std::uint32_t>(entrances.size())},
               fds);
  ReceivedEvent received = expect(EventKind::kStarted, state_->control.get(), command);
  state_->terminal = std::move(received.fd);
  state_->started = Clock::now();
}

int Sandbox::fd() const noexcept { return state_->pidfd.get(); }

int Sandbox::pid() const noexcept { return state_->pid; }

int Sandbox::change_fd() const noexcept { return state_->deaf ? -1 : state_->control.get(); }

Process::Change Sandbox::wait_change(milliseconds timeout) {
  using Change = Process::Change;
  State& state = *state_;
  const Deadline deadline(timeout);
  while (!state.report) {
    const int control = change_fd();
    if (!detail::wait_readable({state.pidfd.get(), control}, deadline.left())) {
      return Change::kNone;
    }
    if (detail::wait_readable({state.pidfd.get()}, milliseconds(0))) {
      state.conclude();
      break;
    }
    try {
      state.take_event(receive_event(control, milliseconds(0)).value());
    } catch (const SystemError&) {
      state.deaf = true;  // it ends: the descriptor of the process will tell
    }
    if (std::exchange(state.stopped, false)) return Change::kStopped;
  }
  return Change::kEnded;
}

std::optional<Report> Sandbox::wait_for(milliseconds timeout) {
  const Deadline deadline(timeout);
  for (;;) {
    const auto change = wait_change(deadline.left());
    if (change == Process::Change::kEnded) return state_->report;
    if (change == Process::Change::kNone) return std::nullopt;
  }
}

Report Sandbox::wait() { return wait_for(Deadline::kForEver).value(); }

Report Sandbox::wait_or_kill(milliseconds limit) {
  if (auto report = wait_for(limit)) return *report;
  state_->timed_out = true;
  state_->kill();
  return wait();
}

void Sandbox::signal(int signal, SignalTarget target) {
  if (!state_->control) {
    detail::check(raw::pidfd_send_signal(state_->pidfd.get(), signal), "cannot send signal {}",
                  signal);
    return;
  }
  detail::send_signal(state_->control.get(), signal, target);
}

void Sandbox::kill() { state_->kill(); }

void Sandbox::limit(const Limits& limits) {
  detail::change_limits(state_->own_group(), limits, state_->init());
}

CgroupStatistics Sandbox::statistics() { return state_->own_group().statistics(); }

std::vector<std::string> Sandbox::network_warnings() const {
  return state_->network ? state_->network->warnings() : std::vector<std::string>();
}

std::optional<Terminal> Sandbox::take_terminal() {
  if (!state_->terminal) return std::nullopt;
  return Terminal(std::move(state_->terminal));
}

void Sandbox::release() {
  state_->require_init();
  // First what takes it for gone when its owner is; whoever is killed here has ended the sandbox.
  if (state_->network) state_->network->release(state_->pid);
  state_->network.reset();
  send_request(state_->control.get(), {.kind = RequestKind::kRelease});
  for (auto* group : {&state_->group, &state_->main_share}) {
    if (*group) (*group)->release();  // the next start of this caller removes it, once it is empty
  }
  if (state_->pasta) state_->pasta->release();
  state_->listening.release();
  state_->owned = false;
}

}  // namespace sbx
