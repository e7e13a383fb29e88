/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor that starts are measured against: the system calls that any sandbox of this shape
 * needs, one after the other, with nothing checked twice and nothing laid out at run time. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TREE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)
#define QUIET (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static void need(long result, const char* what) {
  if (result >= 0) return;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static void attributes(int fd, const char* path, unsigned flags, uint64_t set) {
  struct mount_attr change = {.attr_set = set};
  need(syscall(SYS_mount_setattr, fd, path, flags, &change, sizeof change), "mount_setattr");
}

static void move(int mount, int root, const char* target) {
  need(syscall(SYS_move_mount, mount, "", root, target, MOVE_MOUNT_F_EMPTY_PATH), target);
  close(mount);
}

static int new_filesystem(const char* type, const char* key, const char* value, unsigned set) {
  int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  need(context, type);
  if (key) need(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0), key);
  need(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
  int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, set);
  need(mount, "fsmount");
  close(context);
  return mount;
}

/* A copy of what `from` shows, on `target`. */
static void show(int from_dir, const char* from, int root, const char* target, uint64_t set) {
  int tree = (int)syscall(SYS_open_tree, from_dir, from, TREE_FLAGS);
  if (tree < 0) return; /* not on this host */
  attributes(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, set);
  move(tree, root, target);
}

static const char* const etc_trees[] = {
    "alternatives", "ld.so.conf.d",    "ssl/certs",     "fonts", "perl",    "python3",
    "python3.11",   "java-17-openjdk", "ImageMagick-6", "php",   "terminfo"};

static void build_root(int root) {
  static const char* const links[] = {"bin", "sbin", "lib", "lib32", "lib64"};
  char path[128];
  for (size_t i = 0; i < sizeof links / sizeof *links; ++i) {
    snprintf(path, sizeof path, "usr/%s", links[i]);
    symlinkat(path, root, links[i]);
  }
  static const char* const folders[] = {"usr", "proc",    "dev", "etc",  "etc/ssl",     "tmp",
                                        "var", "var/tmp", "run", "home", "home/sandbox"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) mkdirat(root, folders[i], 0755);
  show(AT_FDCWD, "/usr", root, "usr", QUIET | MOUNT_ATTR_RDONLY);
  for (size_t i = 0; i < sizeof etc_trees / sizeof *etc_trees; ++i) {
    char target[128];
    struct stat status;
    snprintf(path, sizeof path, "/etc/%s", etc_trees[i]);
    snprintf(target, sizeof target, "etc/%s", etc_trees[i]);
    if (lstat(path, &status) < 0) continue;
    mkdirat(root, target, 0755);
    show(AT_FDCWD, path, root, target, QUIET | MOUNT_ATTR_RDONLY);
  }
  static const char* const own[] = {"tmp", "var/tmp", "run", "home/sandbox"};
  for (size_t i = 0; i < sizeof own / sizeof *own; ++i) show(root, own[i], root, own[i], QUIET);
  move(new_filesystem("proc", NULL, NULL, QUIET | MOUNT_ATTR_NOEXEC), root, "proc");
}

static void build_dev(int root) {
  static const char* const shown[] = {"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus",
                                      "proc/fs"};
  for (size_t i = 0; i < sizeof shown / sizeof *shown; ++i) {
    show(root, shown[i], root, shown[i], QUIET | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY);
  }
  static const char* const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  char from[64];
  char to[64];
  for (size_t i = 0; i < sizeof devices / sizeof *devices; ++i) {
    snprintf(from, sizeof from, "/dev/%s", devices[i]);
    snprintf(to, sizeof to, "dev/%s", devices[i]);
    close(openat(root, to, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    show(AT_FDCWD, from, root, to, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
  static const char* const masked[] = {"interrupts", "kcore",      "key-users",
                                       "keys",       "kmsg",       "kpagecgroup",
                                       "kpagecount", "kpageflags", "timer_list"};
  for (size_t i = 0; i < sizeof masked / sizeof *masked; ++i) {
    struct stat status;
    snprintf(to, sizeof to, "proc/%s", masked[i]);
    if (fstatat(root, to, &status, 0) == 0)
      show(AT_FDCWD, "/dev/null", root, to, MOUNT_ATTR_NOSUID);
  }
  struct stat status;
  if (fstatat(root, "proc/pressure", &status, 0) == 0) {
    move(new_filesystem("tmpfs", NULL, NULL, QUIET | MOUNT_ATTR_RDONLY), root, "proc/pressure");
  }
  mkdirat(root, "dev/pts", 0755);
  mkdirat(root, "dev/mqueue", 0755);
  mkdirat(root, "dev/shm", 0755);
  move(new_filesystem("devpts", "ptmxmode", "0666", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), root,
       "dev/pts");
  move(new_filesystem("mqueue", NULL, NULL, QUIET | MOUNT_ATTR_NOEXEC), root, "dev/mqueue");
  move(new_filesystem("tmpfs", "mode", "1777", QUIET), root, "dev/shm");
}

static void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  need(ioctl(fd, SIOCSIFFLAGS, &request), "loopback");
  close(fd);
}

static void set_up(enum floor_part part) {
  if (part >= FLOOR_USERS) {
    need(setresgid(0, 0, 0), "setresgid");
    need(setresuid(0, 0, 0), "setresuid");
  }
  if (part >= FLOOR_NETWORK) bring_loopback_up();
  if (part < FLOOR_ROOT) return;
  struct mount_attr private = {.propagation = MS_PRIVATE};
  need(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private),
       "private");
  int root = new_filesystem("tmpfs", "mode", "0755", MOUNT_ATTR_NOSUID);
  need(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "root");
  build_root(root);
  if (part >= FLOOR_DEV) build_dev(root);
  attributes(root, "", AT_EMPTY_PATH, QUIET | MOUNT_ATTR_RDONLY);
  need(fchdir(root), "fchdir");
  need(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  need(umount2(".", MNT_DETACH), "umount2");
}

static void write_file(pid_t pid, const char* name, const char* text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  need(write(fd, text, strlen(text)), path);
  close(fd);
}

int floor_run(enum floor_part part) {
  static const uint64_t namespaces =
      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME;
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  if (part >= FLOOR_NAMESPACES) arguments.flags |= namespaces;
  if (part >= FLOOR_NETWORK) arguments.flags |= CLONE_NEWNET;
  if (part >= FLOOR_USERS) arguments.flags |= CLONE_NEWUSER;
  int go[2];
  if (pipe2(go, O_CLOEXEC) < 0) return -1;
  pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child < 0) return -1;
  if (child == 0) {
    char byte;
    close(go[1]);
    if (part >= FLOOR_USERS) need(read(go[0], &byte, 1), "read");
    set_up(part);
    execl("/usr/bin/true", "true", (char*)NULL);
    _exit(127);
  }
  close(go[0]);
  if (part >= FLOOR_USERS) {
    write_file(child, "uid_map", "0 268435456 65536");
    write_file(child, "gid_map", "0 268435456 65536");
    need(write(go[1], "g", 1), "write");
  }
  close(go[1]);
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

#ifdef FLOOR_MAIN
int main(void) { return floor_run(FLOOR_USERS) == 0 ? 0 : 1; }
#endif
