/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's half of the floor, and the order of the child's. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clone.h"
#include "parts.h"

static const uint64_t basic_namespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME;

void need(long result, const char* what) {
  if (result >= 0) return;
  dprintf(2, "floor: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  need(ioctl(fd, SIOCSIFFLAGS, &request), "loopback");
  close(fd);
}

/* Files in the new root are made by somebody who has a number in there. By raw calls: the C library
 * would have every thread of the caller do the same. */
static void become_root_inside(void) {
  need(syscall(SYS_setgroups, 0, NULL), "setgroups");
  need(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
  need(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
  prctl(PR_SET_DUMPABLE, 1);
}

static void run_child(void* argument) {
  const struct floor* floor = argument;
  char byte;
  static char* const environment[] = {"PATH=/usr/bin:/bin", "HOME=/home/sandbox", NULL};
  if (floor->part >= FLOOR_RIGHTS) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (floor->part >= FLOOR_LIMITS) enter_groups();
  if (floor->part >= FLOOR_USERS) {
    need(read(floor->go[0], &byte, 1), "read");
    if (floor->part >= FLOOR_LIMITS) need(unshare(CLONE_NEWCGROUP), "unshare");
    become_root_inside();
  }
  if (floor->part >= FLOOR_NAMESPACES) need(sethostname("sandbox", 7), "sethostname");
  if (floor->part >= FLOOR_NETWORK) bring_loopback_up();
  if (floor->part >= FLOOR_ROOT) build_root(floor);
  if (floor->part >= FLOOR_RIGHTS) give_rights_up();
  execve(floor->argv[0], (char* const*)floor->argv, environment);
  need(-1, floor->argv[0]);
}

static void write_id_map(pid_t pid, const char* name) {
  char path[64];
  char map[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int size = snprintf(map, sizeof map, "0 %d %d\n", FIRST_ID, IDS);
  write_at(AT_FDCWD, path, map, (size_t)size);
}

static void map_users(const struct floor* floor, pid_t pid) {
  char path[64];
  write_id_map(pid, "uid_map");
  write_id_map(pid, "gid_map");
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  int users = open(path, O_RDONLY | O_CLOEXEC);
  need(users, path);
  for (size_t i = 0; i < floor->tree_count; ++i) {
    set_attributes(floor->trees[i].mount, AT_RECURSIVE, READ_ONLY, users);
  }
  close(users);
  need(write(floor->go[1], "g", 1), "write");
}

/* A user namespace belongs to the effective user of its maker, who needs his capabilities to enter
 * a group. */
static void set_effective_user(int uid) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  need(syscall(SYS_capget, &header, sets), "capget");
  need(syscall(SYS_setresuid, -1, uid, -1), "setresuid");
  need(syscall(SYS_capset, &header, sets), "capset");
}

/* `group`: of version 2, or -1. */
static pid_t clone_child(struct floor* floor, int group) {
  static char stack[64 << 10] __attribute__((aligned(16)));
  struct clone_args arguments = {.flags = CLONE_VM | CLONE_CLEAR_SIGHAND,
                                 .exit_signal = SIGCHLD,
                                 .stack = (uintptr_t)stack,
                                 .stack_size = sizeof stack};
  if (floor->part >= FLOOR_NAMESPACES) arguments.flags |= basic_namespaces;
  /* The group that it enters is to be the root of its view. */
  if (floor->part >= FLOOR_LIMITS) arguments.flags &= ~(uint64_t)CLONE_NEWCGROUP;
  if (group >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)group;
  }
  if (floor->part >= FLOOR_NETWORK) arguments.flags |= CLONE_NEWNET;
  if (floor->part >= FLOOR_USERS) arguments.flags |= CLONE_NEWUSER;
  if (floor->part < FLOOR_USERS) {
    return (pid_t)clone_on_stack(&arguments, sizeof arguments, run_child, floor);
  }
  set_effective_user(FIRST_ID);
  const long child = clone_on_stack(&arguments, sizeof arguments, run_child, floor);
  set_effective_user(0);
  prctl(PR_SET_DUMPABLE, 1);
  return (pid_t)child;
}

int floor_run(enum floor_part part, const char* const argv[]) {
  static struct floor floor;
  floor.part = part;
  floor.argv = argv;
  floor.tree_count = floor.file_count = floor.used = 0;
  if (part >= FLOOR_FILES) read_files(&floor);
  if (part >= FLOOR_ROOT) take_trees(&floor);
  if (part >= FLOOR_USERS && pipe2(floor.go, O_CLOEXEC) < 0) return -1;

  const pid_t child = clone_child(&floor, part >= FLOOR_LIMITS ? make_groups() : -1);
  if (child < 0) return -1;
  if (part >= FLOOR_USERS) {
    map_users(&floor, child);
    close(floor.go[0]);
    close(floor.go[1]);
  }
  int status = -1;
  waitpid(child, &status, __WALL);
  if (part >= FLOOR_LIMITS) count_and_remove_groups();
  close_trees(&floor);
  return status;
}

#ifdef FLOOR_MAIN
int main(void) {
  static const char* const argv[] = {"/usr/bin/true", NULL};
  return floor_run(FLOOR_FILES, argv) == 0 ? 0 : 1;
}
#endif
