// SPDX-License-Identifier: Apache-2.0
//
// The caller's side of a start: clone, the plan of the root, and waiting until the child has
// executed.
//
// The child shares the caller's memory (CLONE_VM) until it executes, so that the cost does not grow
// with the caller; it runs on a stack of its own and touches nothing but its child::Start. It makes
// the namespaces that take long while the caller lays the root out, and therefore shares his
// descriptors (CLONE_FILES), too, until he is done.
#include "launch/start.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "launch/child/setup.hpp"
#include "launch/control.hpp"
#include "launch/effective_user.hpp"
#include "launch/failure.hpp"
#include "launch/group.hpp"
#include "launch/id_view.hpp"
#include "launch/image.hpp"
#include "sys/deadline.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"
#include "sys/signals_blocked.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kStackSize = std::size_t{64} << 10;
constexpr std::uint64_t kClearSignalHandlers = 0x100000000;  // CLONE_CLEAR_SIGHAND

/// The namespaces that a process cannot enter later: it is made into them.
constexpr std::uint64_t kMadeByClone = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWTIME;

/// And those that have to have what the caller has done meanwhile: what was mounted while he opened
/// the sources, and the control group, whose place is the root of its namespace.
constexpr std::uint64_t kMadeLast = CLONE_NEWNS | CLONE_NEWCGROUP;

/// The dumpable flag belongs to the memory, which children share while they change identity. Each
/// puts the value back at once; this remembers the value while any of them is under way, and makes
/// sure of it afterwards.
class DumpableFlag {
 public:
  DumpableFlag() {
    const std::lock_guard lock(mutex());
    if (users() == 0) {
      const int now = ::prctl(PR_GET_DUMPABLE);
      if (now < 0) throw_errno("cannot read the caller's dumpable flag");
      value() = now;
    }
    ++users();
  }
  DumpableFlag(const DumpableFlag&) = delete;
  DumpableFlag& operator=(const DumpableFlag&) = delete;
  DumpableFlag(DumpableFlag&&) = delete;
  DumpableFlag& operator=(DumpableFlag&&) = delete;
  ~DumpableFlag() {
    const std::lock_guard lock(mutex());
    if (--users() == 0 && ::prctl(PR_GET_DUMPABLE) != value()) {
      ::prctl(PR_SET_DUMPABLE, value());
    }
  }

  [[nodiscard]] static int saved() { return value(); }

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static int& users() {
    static int count = 0;
    return count;
  }
  static int& value() {
    static int saved_value = 1;
    return saved_value;
  }
};

/// The child until it has executed. Destroyed before, it is killed and reaped: the memory that it
/// runs on may then go.
class NewChild {
 public:
  explicit NewChild(const child::Setup& setup) : stack_(new char[kStackSize]) {
    start_.setup = &setup;
  }
  NewChild(const NewChild&) = delete;
  NewChild& operator=(const NewChild&) = delete;
  NewChild(NewChild&&) = delete;
  NewChild& operator=(NewChild&&) = delete;
  ~NewChild() {
    if (!pidfd_) return;
    raw::kill_process(pidfd_.get(), pid_);
    raw::reap(pidfd_.get());
    if (start_.network_socket >= 0) ::close(start_.network_socket);
  }

  void clone(std::uint64_t namespaces, std::optional<std::uint32_t> owner, int group);
  UniqueFd wait_for_network(int sync);
  void wait_until_executed();
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] const child::Failure& failure() const { return start_.failure; }
  [[nodiscard]] UniqueFd take_pidfd() { return std::move(pidfd_); }

 private:
  std::unique_ptr<char[]> stack_;
  child::Start start_;
  UniqueFd pidfd_;
  int pid_ = -1;
};

/// `owner`: whose the user namespace is to be; the caller's when there is none. `group`: the
/// control group of version 2 that it starts in; -1: the caller's.
void NewChild::clone(std::uint64_t namespaces, std::optional<std::uint32_t> owner, int group) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = namespaces | CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_CHILD_CLEARTID |
                    kClearSignalHandlers;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.child_tid = reinterpret_cast<std::uint64_t>(&start_.sharing);
  arguments.stack = reinterpret_cast<std::uint64_t>(stack_.get());
  arguments.stack_size = kStackSize;
  if (group >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(group);
  }
  long result = 0;
  {
    const SignalsBlocked blocked;
    std::optional<EffectiveUser> user;
    if (owner) user.emplace(*owner);
    result = raw::clone3(&arguments, sizeof arguments, child::run, &start_);
  }
  if (owner) ::prctl(PR_SET_DUMPABLE, DumpableFlag::saved());
  if (result < 0) {
    throw_failure({.stage = child::Stage::kNamespaces, .error = static_cast<std::int32_t>(-result)},
                  {});
  }
  pid_ = static_cast<int>(result);
  pidfd_.reset(pidfd);
}

/// The socket that leads into the child's network; none where that has failed. `sync`: the caller's
/// end.
UniqueFd NewChild::wait_for_network(int sync) {
  char byte = 0;
  if (!wait_readable({sync, pidfd_.get()}, Deadline::kForEver) ||
      ::recv(sync, &byte, 1, MSG_DONTWAIT) != 1)
    return {};
  return UniqueFd(std::exchange(start_.network_socket, -1));
}

void NewChild::wait_until_executed() {
  const std::atomic_ref<std::uint32_t> sharing(start_.sharing);
  while (sharing.load() != 0) raw::futex(&start_.sharing, FUTEX_WAIT, 1);
}

/// By which the child enters its groups of version 1; that of version 2 it is born in.
std::vector<int> open_entrances(Plan& plan) {
  std::vector<int> numbers;
  if (!plan.group) return numbers;
  for (UniqueFd& entrance : open_entrances(*plan.group, Entrances::kVersion1)) {
    numbers.push_back(entrance.get());
    plan.fds.push_back(std::move(entrance));
  }
  return numbers;
}

/// What the init is told before it exists: it reads it first.
void queue_requests(Plan& plan, const Spec& spec, int control) {
  const UniqueFd block = plan.program.to_file();
  std::vector<int> policy = {block.get()};
  UniqueFd clock;
  if (spec.cpu_time_max && plan.group) clock = open_clock(*plan.group);
  if (clock) policy.push_back(clock.get());
  send_request(control, {.kind = child::RequestKind::kPolicy}, policy);
  if (spec.command.argv.empty()) return;
  std::vector<int> fds = {block.get()};
  fds.insert(fds.end(), plan.passed_fds.begin(), plan.passed_fds.end());
  send_request(control, {.kind = child::RequestKind::kMain}, fds);
}

/// Whether something is done between the start of the init and that of the program.
bool begins_late(const Spec& spec) {
  return limits_memory(spec.limits) || spec.network.mode == Network::Mode::kUser;
}

/// The kernel says that the child gives the caller's memory up a moment before it does: the limit
/// waits for the init's first word, and what it shall do waits for the limit, and for the network.
std::optional<Pasta> begin_late(Plan& plan, const Spec& spec, const NewChild& child, int control) {
  send_request(control, {.kind = child::RequestKind::kHello});
  expect(child::EventKind::kHello, control, spec.command);
  if (limits_memory(spec.limits)) {
    limit_memory(*plan.group, spec.limits);
    require_fed(*plan.group);
  }
  std::optional<Pasta> pasta;
  if (spec.network.mode == Network::Mode::kUser) {
    pasta.emplace(Pasta::connect(child.pidfd(), child.pid()));
  }
  queue_requests(plan, spec, control);
  return pasta;
}

/// Makes the sandbox's place in the host's network while the child makes its network namespace.
Attachment attach(NewChild& child, const Network& network, int sync) {
  Attachment attachment(network);
  UniqueFd inside = child.wait_for_network(sync);
  // Else the child has failed; it says how, once it is let go.
  if (inside) attachment.connect(child.pid(), std::move(inside));
  return attachment;
}

}  // namespace

Started start_child(Plan& plan, const Spec& spec, int listening) {
  const DumpableFlag dumpable;
  const SocketPair sync = make_socket_pair();
  const UniqueFd self(
      static_cast<int>(check(raw::pidfd_open(::getpid(), 0), "cannot open the caller's pidfd")));
  child::Setup& setup = plan.setup;
  setup.namespaces = plan.namespaces & ~(kMadeByClone | kMadeLast);
  setup.last_namespaces = plan.namespaces & kMadeLast;
  setup.dumpable = DumpableFlag::saved();
  setup.caller_pidfd = self.get();
  setup.sync_fd = sync.theirs.get();
  setup.caller_sync_fd = sync.ours.get();
  setup.listen_fd = listening;
  plan.group = make_group(spec);
  const std::vector<int> entrances = open_entrances(plan);
  setup.entrances = entrances.data();
  setup.entrance_count = entrances.size();
  NewChild child(setup);
  child.clone(plan.namespaces & kMadeByClone, plan.identity.namespace_owner,
              plan.group ? plan.group->fd() : -1);
  if (!plan.group) plan.group = enter_scope(spec, child.pid());

  plan_root(spec, plan);
  std::optional<Attachment> network;
  if (is_attached(spec.network)) network = attach(child, spec.network, sync.ours.get());
  SocketPair control;
  if (spec.init == Init::kYes) {
    control = make_socket_pair();
    setup.control_fd = control.theirs.get();
    plan.fds.push_back(open_image(Image::kInit));
    setup.init_image = plan.fds.back().get();
    if (!begins_late(spec)) queue_requests(plan, spec, control.ours.get());
  } else {
    setup.program = plan.program.relocated();
    setup.passed_fds = plan.passed_fds.data();
  }

  if (plan.identity.user_namespace) {
    write_id_maps(child.pid(), plan.identity.uids, plan.identity.gids);
    show_ids(plan.id_mapped, plan.identity, child.pid());
  }
  const char go = 1;
  if (::send(sync.ours.get(), &go, 1, MSG_NOSIGNAL) < 0) throw_errno("cannot start the child");
  if (network) network->finish();  // while the child executes
  child.wait_until_executed();
  control.theirs.reset();
  if (child.failure()) {
    throw_failure(child.failure(),
                  {.plan = &plan,
                   .program = spec.command.argv.empty() ? "" : spec.command.argv[0],
                   .workdir = spec.command.workdir.native()});
  }
  std::optional<Pasta> pasta;
  if (begins_late(spec)) pasta = begin_late(plan, spec, child, control.ours.get());
  UniqueFd terminal;
  if (spec.init == Init::kNone && spec.command.terminal) {
    terminal = receive_terminal(sync.ours.get());
  }
  return {.pidfd = child.take_pidfd(),
          .pid = child.pid(),
          .control = std::move(control.ours),
          .terminal = std::move(terminal),
          .group = std::move(plan.group),
          .network = std::move(network),
          .pasta = std::move(pasta)};
}

}  // namespace sbx::detail
