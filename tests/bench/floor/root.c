/* SPDX-License-Identifier: Apache-2.0
 *
 * The root that the floor's child builds for itself. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

#define NO_PROGRAMS (QUIET | MOUNT_ATTR_NOEXEC)

typedef const char* const option[2]; /* a name and a value; NULL: a flag */

const char* const floor_masks[] = {"proc/acpi",
                                   "proc/asound",
                                   "proc/interrupts",
                                   "proc/kcore",
                                   "proc/key-users",
                                   "proc/keys",
                                   "proc/kmsg",
                                   "proc/kpagecgroup",
                                   "proc/kpagecount",
                                   "proc/kpageflags",
                                   "proc/latency_stats",
                                   "proc/pressure",
                                   "proc/sched_debug",
                                   "proc/scsi",
                                   "proc/timer_list",
                                   "proc/timer_stats",
                                   NULL};

void set_attributes(int mount, unsigned flags, uint64_t attributes, int user_namespace) {
  struct mount_attr change = {.attr_set = attributes};
  if (user_namespace >= 0) {
    change.attr_set |= MOUNT_ATTR_IDMAP;
    change.userns_fd = (uint64_t)user_namespace;
  }
  long result =
      syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &change, sizeof change);
  if (result < 0 && user_namespace >= 0) { /* a file system that cannot */
    change = (struct mount_attr){.attr_set = attributes};
    result = syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &change, sizeof change);
  }
  need(result, "mount_setattr");
}

void write_at(int directory, const char* path, const char* text, size_t size) {
  const int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
  need(fd, path);
  need(write(fd, text, size), path);
  close(fd);
}

static void attach(int mount, int root, const char* target) {
  need(syscall(SYS_move_mount, mount, "", root, target, MOVE_MOUNT_F_EMPTY_PATH), target);
  close(mount);
}

static int new_filesystem(const char* type, option options[], size_t count, unsigned attributes) {
  const int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  need(context, type);
  for (size_t i = 0; i < count; ++i) {
    const int command = options[i][1] == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    need(syscall(SYS_fsconfig, context, command, options[i][0], options[i][1], 0), options[i][0]);
  }
  need(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
  const int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
  need(mount, "fsmount");
  close(context);
  return mount;
}

/* Mounts what `directory` has at `from` on `target`. */
static void show(int directory, const char* from, int root, const char* target,
                 uint64_t attributes) {
  const int tree = (int)syscall(SYS_open_tree, directory, from,
                                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) return; /* not on this host */
  set_attributes(tree, AT_RECURSIVE, attributes, -1);
  attach(tree, root, target);
}

static void make_skeleton(int root) {
  static const char* const folders[] = {"usr", "proc", "dev", "etc", "etc/ssl", "var"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) {
    need(mkdirat(root, folders[i], 0755), folders[i]);
  }
  static const char* const links[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
  for (size_t i = 0; i < sizeof links / sizeof *links; ++i) {
    char target[64];
    const ssize_t size = readlink(links[i], target, sizeof target - 1);
    if (size < 0) continue;
    target[size] = '\0';
    need(symlinkat(target, root, links[i] + 1), links[i]);
  }
}

static void write_files(const struct floor* floor, int root) {
  static const char name[] = "sandbox\n";
  static const char hosts[] =
      "127.0.0.1\tlocalhost\n127.0.1.1\tsandbox\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n";
  const struct etc_file own[] = {{.path = "/etc/hostname", .text = name, .size = sizeof name - 1},
                                 {.path = "/etc/hosts", .text = hosts, .size = sizeof hosts - 1},
                                 {.path = "/etc/mtab", .text = "/proc/self/mounts", .is_link = 1},
                                 {.path = "/var/run", .text = "/run", .is_link = 1}};
  const size_t own_count = sizeof own / sizeof *own;
  for (size_t i = 0; i < floor->file_count + own_count; ++i) {
    const struct etc_file* file = i < own_count ? &own[i] : &floor->files[i - own_count];
    if (file->is_link) {
      need(symlinkat(file->text, root, file->path + 1), file->path);
      continue;
    }
    const int fd = openat(root, file->path + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    need(fd, file->path);
    need(write(fd, file->text, file->size), file->path);
    close(fd);
  }
}

static void attach_trees(const struct floor* floor, int root) {
  for (size_t i = 0; i < floor->tree_count; ++i) {
    const struct tree* tree = &floor->trees[i];
    if (tree->is_file) {
      need(mknodat(root, tree->path + 1, S_IFREG | 0644, 0), tree->path);
    } else if (tree->path[1] == 'e') { /* below /etc; the rest is in the skeleton */
      need(mkdirat(root, tree->path + 1, 0755), tree->path);
    }
    /* With users the caller has set the attributes, together with the ids. */
    if (floor->part < FLOOR_USERS) set_attributes(tree->mount, AT_RECURSIVE, READ_ONLY, -1);
    attach(tree->mount, root, tree->path + 1);
  }
}

static void make_places_to_write(int root) {
  static const struct {
    const char* path;
    unsigned mode;
    int is_users;
  } places[] = {
      {"tmp", 01777, 0}, {"var/tmp", 01777, 0}, {"run", 0755, 1}, {"home/sandbox", 0700, 1}};
  need(mkdirat(root, "home", 0755), "home");
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    const char* path = places[i].path;
    need(mkdirat(root, path, places[i].mode), path);
    if (places[i].is_users) need(fchownat(root, path, USER, USER, AT_SYMLINK_NOFOLLOW), path);
    show(root, path, root, path, QUIET);
  }
}

static void build_proc(const struct floor* floor, int root) {
  attach(new_filesystem("proc", NULL, 0, NO_PROGRAMS), root, "proc");
  if (floor->part >= FLOOR_NETWORK) {
    write_at(root, "proc/sys/net/ipv4/ping_group_range", "0 65535", 7);
    write_at(root, "proc/sys/net/ipv4/ip_unprivileged_port_start", "0", 1);
  }
  if (floor->part >= FLOOR_USERS) write_at(root, "proc/sys/user/max_user_namespaces", "0", 1);
}

static void mask_proc(int root) {
  int empty = -1; /* all folders share one */
  for (const char* const* path = floor_masks; *path != NULL; ++path) {
    struct stat status;
    if (fstatat(root, *path, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    const int is_folder = S_ISDIR(status.st_mode);
    if (is_folder && empty < 0) {
      empty = new_filesystem("tmpfs", NULL, 0, NO_PROGRAMS | MOUNT_ATTR_RDONLY);
      attach(fcntl(empty, F_DUPFD_CLOEXEC, 0), root, *path);
      continue;
    }
    const int mask =
        (int)syscall(SYS_open_tree, is_folder ? empty : root, is_folder ? "" : "dev/null",
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    need(mask, "mask");
    attach(mask, root, *path);
  }
  if (empty >= 0) close(empty);
}

static void make_devices(int root) {
  static const char* const names[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                      "/dev/random", "/dev/urandom", "/dev/tty"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    need(mknodat(root, names[i] + 1, S_IFREG | 0644, 0), names[i]);
    show(AT_FDCWD, names[i], root, names[i] + 1,
         MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
  static const char* const links[][2] = {{"pts/ptmx", "dev/ptmx"},
                                         {"/proc/self/fd", "dev/fd"},
                                         {"/proc/self/fd/0", "dev/stdin"},
                                         {"/proc/self/fd/1", "dev/stdout"},
                                         {"/proc/self/fd/2", "dev/stderr"}};
  for (size_t i = 0; i < sizeof links / sizeof *links; ++i) {
    need(symlinkat(links[i][0], root, links[i][1]), links[i][1]);
  }
}

void build_dev(int root, int users) {
  static const char* const shown[] = {"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus",
                                      "proc/fs"};
  for (size_t i = 0; i < sizeof shown / sizeof *shown; ++i) {
    show(root, shown[i], root, shown[i], NO_PROGRAMS | MOUNT_ATTR_RDONLY);
  }
  make_devices(root);
  mask_proc(root);
  static option pts[] = {
      {"newinstance", NULL}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}};
  static option shm[] = {{"mode", "1777"}, {"uid", "1000"}, {"gid", "1000"}};
  need(mkdirat(root, "dev/pts", 0755), "dev/pts");
  attach(new_filesystem("devpts", pts, users ? 4 : 3, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), root,
         "dev/pts");
  need(mkdirat(root, "dev/mqueue", 01777), "dev/mqueue");
  attach(new_filesystem("mqueue", NULL, 0, NO_PROGRAMS), root, "dev/mqueue");
  need(mkdirat(root, "dev/shm", 0755), "dev/shm");
  attach(new_filesystem("tmpfs", shm, 3, QUIET), root, "dev/shm");
}

static void pivot(int root) {
  set_attributes(root, 0, READ_ONLY, -1);
  need(fchdir(root), "fchdir");
  need(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  need(umount2(".", MNT_DETACH), "umount2");
  need(chdir("/"), "chdir");
  close(root);
}

void build_root(const struct floor* floor) {
  static option tmpfs[] = {{"mode", "0755"}};
  const mode_t mask = umask(0);
  struct mount_attr private = {.propagation = MS_PRIVATE};
  need(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private),
       "private");
  const int root = new_filesystem("tmpfs", tmpfs, 1, QUIET);
  need(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "root");
  make_skeleton(root);
  if (floor->part >= FLOOR_FILES) write_files(floor, root);
  attach_trees(floor, root);
  make_places_to_write(root);
  build_proc(floor, root);
  if (floor->part >= FLOOR_DEV) build_dev(root, floor->part >= FLOOR_USERS);
  if (floor->part >= FLOOR_LIMITS) show_groups(root);
  pivot(root);
  umask(mask);
}
