// SPDX-License-Identifier: Apache-2.0
#include "launch/child/setup.hpp"

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "launch/child/descriptors.hpp"
#include "launch/child/message.hpp"
#include "launch/child/tree.hpp"
#include "sys/raw.hpp"

namespace sbx::child {
namespace {

/// Waits until the caller has laid everything out and written the id maps. One that dies from now
/// on takes this process along. He cannot hang up: his end of the socket is this process's, too.
Failure wait_for_caller(const Setup& setup) noexcept {
  long result = raw::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd caller[] = {{.fd = setup.sync_fd, .events = POLLIN, .revents = 0},
                     {.fd = setup.caller_pidfd, .events = POLLIN, .revents = 0}};
  if (result >= 0) result = raw::ppoll(caller, 2, nullptr);
  char byte = 0;
  if (result >= 0) result = caller[0].revents != 0 ? raw::read(setup.sync_fd, &byte, 1) : 0;
  return result == 1 ? Failure{} : failed(Stage::kCallerGone, result < 0 ? result : -ESRCH);
}

/// Descriptors, mounts and control group as the caller has made them by now. From now on he hangs
/// up when he dies.
Failure part_from_caller(const Setup& setup) noexcept {
  const long result = raw::unshare(CLONE_FILES | setup.last_namespaces);
  if (result < 0) return failed(Stage::kNamespaces, result);
  raw::close(setup.caller_sync_fd);
  return {};
}

/// Files in the new root are made by somebody who has a number in there.
Failure change_user(const Setup& setup) noexcept {
  long result = 0;
  if (setup.clear_groups) result = raw::setgroups(0, nullptr);
  if (result >= 0 && setup.change_user) result = raw::setresgid(setup.gid);
  if (result >= 0 && setup.change_user) result = raw::setresuid(setup.uid);
  if (setup.change_user) {
    // The caller shares this memory, and would stay without core dumps and debuggers.
    raw::prctl(PR_SET_DUMPABLE, static_cast<unsigned long>(setup.dumpable));
    if (result >= 0) result = raw::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  return result < 0 ? failed(Stage::kBecomeRoot, result) : Failure{};
}

Failure keep_mounts_private() noexcept {
  mount_attr change{.attr_set = 0, .attr_clr = 0, .propagation = MS_PRIVATE, .userns_fd = 0};
  const long result = raw::mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &change, sizeof change);
  return result < 0 ? failed(Stage::kPropagation, result) : Failure{};
}

Failure take_steps(Tree& tree, const Step* steps, std::size_t count,
                   std::size_t first_index) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    tree.absent = false;
    const long result = take_step(tree, steps[i]);
    if (result < 0 && !(tree.absent && steps[i].optional)) {
      return failed(Stage::kStep, result, first_index + i);
    }
  }
  return {};
}

Failure open_layer(const Setup& setup, Tree* tree) noexcept {
  if (setup.layer == Layer::kNone) return {};
  const long layer = setup.layer == Layer::kMemory
                         ? new_filesystem("tmpfs", setup.tmpfs_options, setup.tmpfs_option_count, 0)
                         : open_source(setup.layer_source);
  if (layer < 0) return failed(Stage::kOverlay, layer);
  tree->layer = static_cast<int>(layer);
  long result = set_attributes(tree->layer, 0);
  if (result >= 0) result = attach_hidden(*tree, tree->layer);
  return result < 0 ? failed(Stage::kOverlay, result) : Failure{};
}

Failure mount_root(const Setup& setup, Tree* tree) noexcept {
  const long root = setup.root ? open_source(setup.root)
                               : new_filesystem("tmpfs", setup.tmpfs_options,
                                                setup.tmpfs_option_count, setup.root_attributes);
  if (root < 0) return failed(Stage::kRootMount, root);
  tree->root = static_cast<int>(root);
  // A root that somebody gave is never written to, not even to make a mount point.
  long result =
      setup.root ? set_attributes(tree->root, setup.root_attributes | MOUNT_ATTR_RDONLY) : 0;
  if (result >= 0) result = attach_hidden(*tree, tree->root);
  return result < 0 ? failed(Stage::kRootMount, result) : Failure{};
}

Failure cover_root(const Setup& setup, Tree* tree) noexcept {
  if (!setup.layer_covers_root) return {};
  const long covered = new_overlay(*tree, tree->root, "root");
  if (covered < 0) return failed(Stage::kOverlay, covered);
  tree->root = static_cast<int>(covered);
  const long result = attach_hidden(*tree, tree->root);
  return result < 0 ? failed(Stage::kOverlay, result) : Failure{};
}

Failure pivot(const Setup& setup, const Tree& tree) noexcept {
  mount_attr change{
      .attr_set = setup.root_attributes, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  if (setup.root_read_only) change.attr_set |= MOUNT_ATTR_RDONLY;
  long result = raw::mount_setattr(tree.root, "", AT_EMPTY_PATH, &change, sizeof change);
  if (result >= 0) result = raw::fchdir(tree.root);
  // Both roots on one directory, the new one below, and over them what else was hidden over the old
  // one. The topmost is detached each time; one that stayed would be what "/.." leads to.
  if (result >= 0) result = raw::pivot_root(".", ".");
  for (int i = 0; result >= 0 && i < tree.hidden; ++i) result = raw::umount2(".", MNT_DETACH);
  if (result >= 0) result = raw::chdir("/");
  return result < 0 ? failed(Stage::kPivot, result) : Failure{};
}

Failure build_root(const Setup& setup) noexcept {
  Tree tree{.user_namespace = setup.user_namespace,
            .layer_uid = setup.layer_uid,
            .layer_gid = setup.layer_gid};
  Failure failure = keep_mounts_private();
  if (!failure) failure = open_layer(setup, &tree);
  if (!failure) failure = mount_root(setup, &tree);
  if (!failure) failure = take_steps(tree, setup.skeleton, setup.skeleton_count, 0);
  if (!failure) failure = cover_root(setup, &tree);
  if (!failure) failure = take_steps(tree, setup.steps, setup.step_count, setup.skeleton_count);
  return failure ? failure : pivot(setup, tree);
}

Failure bring_loopback_up() noexcept {
  const long fd = raw::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(Stage::kLoopback, fd);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const long result = raw::ioctl(static_cast<int>(fd), SIOCSIFFLAGS, raw::address(&request));
  raw::close(static_cast<int>(fd));
  return result < 0 ? failed(Stage::kLoopback, result) : Failure{};
}

Failure name_host(const char* name) noexcept {
  std::size_t size = 0;
  while (name[size] != '\0') ++size;
  const long result = raw::sethostname(name, size);
  return result < 0 ? failed(Stage::kHostname, result) : Failure{};
}

/// The session keyring is not part of any namespace: without one of its own, a sandbox would read
/// its caller's keys.
Failure leave_keyring() noexcept {
  const long result = raw::keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0);
  return result < 0 && result != -ENOSYS ? failed(Stage::kKeyring, result) : Failure{};
}

/// Puts the init's descriptors where it looks for them. Its own standard ones are /dev/null: it
/// must not keep the other end of anybody's pipe open.
long place_init_descriptors(const Setup& setup, int* image) noexcept {
  const long null = raw::openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return null;
  int numbers[kListenFd + 1];
  for (int& number : numbers) number = static_cast<int>(null);
  numbers[kControlFd] = setup.control_fd;
  numbers[kListenFd] = setup.listen_fd;
  *image = setup.init_image;
  return number_descriptors(numbers, kListenFd + 1, image);
}

Failure become_init(const Setup& setup) noexcept {
  long result = limit_bounding_set(~std::uint64_t{0}, setup.init_capabilities);
  if (result < 0) return failed(Stage::kBounding, result);
  const bool root = setup.uid == 0 && (setup.change_user || !setup.user_namespace);
  result = limit_capabilities(setup.init_capabilities, !root);
  if (result < 0) return failed(Stage::kCapabilities, result);
  int image = -1;
  result = place_init_descriptors(setup, &image);
  if (result < 0) return failed(Stage::kDescriptors, result);
  result = release_signals();
  if (result < 0) return failed(Stage::kSignals, result);

  char name[] = "sbx-init";
  char* argv[] = {name, const_cast<char*>(setup.init_cpu_limit), nullptr};
  char* environment[] = {nullptr};
  result = raw::execveat(image, "", argv, environment, AT_EMPTY_PATH);
  return failed(Stage::kInit, result);
}

/// Makes the program's terminal on the sandbox's own devpts, and gives its master side to the
/// caller.
Failure hand_over_terminal(const Setup& setup, int* master) noexcept {
  long result = raw::openat(AT_FDCWD, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (result < 0) return failed(Stage::kTerminal, result);
  *master = static_cast<int>(result);
  int unlocked = 0;
  result = raw::ioctl(*master, TIOCSPTLCK, raw::address(&unlocked));
  if (result >= 0) result = send_descriptor(setup.sync_fd, *master);
  return result < 0 ? failed(Stage::kTerminal, result) : Failure{};
}

/// What needs nothing of the caller's, and no number in the new user namespace. No descriptor is
/// opened: it would be one of his.
Failure make_namespaces(const Setup& setup) noexcept {
  const long made = raw::unshare(setup.namespaces);
  if (made < 0) return failed(Stage::kNamespaces, made);
  // A caller who ignores SIGCHLD would hand that on, and the init would see no end of anything.
  const long reset = reset_signal_actions();
  if (reset < 0) return failed(Stage::kSignals, reset);
  return setup.hostname == nullptr ? Failure{} : name_host(setup.hostname);
}

/// The network is the child's, and the one who connects it is the caller.
Failure offer_network(Start& start) noexcept {
  const long fd = raw::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return failed(Stage::kNetwork, fd);
  start.network_socket = static_cast<std::int32_t>(fd);
  return {};
}

Failure set_up(Start& start) noexcept {
  const Setup& setup = *start.setup;
  Failure made = enter_groups(setup.entrances, setup.entrance_count);
  if (!made) made = make_namespaces(setup);
  if (!made && setup.open_network) made = offer_network(start);
  if (setup.open_network) raw::write(setup.sync_fd, "", 1);
  // Whatever has failed: the caller writes the maps of a process that is there.
  Failure failure = wait_for_caller(setup);
  if (!failure) failure = made;
  if (!failure) failure = part_from_caller(setup);
  const long umask = raw::umask(0);
  if (!failure) failure = change_user(setup);
  if (!failure && setup.loopback) failure = bring_loopback_up();
  if (!failure) failure = leave_keyring();
  if (!failure) failure = build_root(setup);
  if (failure) return failure;
  raw::umask(static_cast<unsigned>(umask));

  if (setup.init_image >= 0) {
    const long session = raw::setsid();
    return session < 0 ? failed(Stage::kSession, session) : become_init(setup);
  }
  Place place{.caller_fd = setup.sync_fd, .dumpable = setup.dumpable};
  if ((setup.program->flags & Program::kTerminal) != 0) {
    failure = hand_over_terminal(setup, &place.terminal_master);
    if (failure) return failure;
  }
  return become_program(setup.program, setup.program, setup.passed_fds, place);
}

}  // namespace

void run(void* start) noexcept {
  auto* shared = static_cast<Start*>(start);
  shared->failure = set_up(*shared);
  raw::exit_group(125);
}

}  // namespace sbx::child
