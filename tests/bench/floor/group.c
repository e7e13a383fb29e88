/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups: a directory in each hierarchy, its limits, and a view of it from inside. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

enum { MOST_PLACES = 4 };

static struct floor_place places[MOST_PLACES];
static size_t place_count;
static int groups[MOST_PLACES]; /* of the start that is under way */
static int entrances[MOST_PLACES];

void floor_use_groups(const struct floor_place* where, size_t count) {
  place_count = count < MOST_PLACES ? count : MOST_PLACES;
  memcpy(places, where, place_count * sizeof *where);
}

/* NULL ends. */
static const char* const limits[][2] = {
    {"memory.max", "268435456"},
    {"memory.swap.max", "0"},
    {"cpu.max", "50000 100000"},
    {"memory.limit_in_bytes", "268435456"},
    {"memory.memsw.limit_in_bytes", "268435456"},
    {"cpu.cfs_period_us", "100000"},
    {"cpu.cfs_quota_us", "50000"},
    {"pids.max", "64"},
    {NULL, NULL},
};

static const char* const counters[] = {
    "memory.peak",
    "memory.events",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    "pids.peak",
    "cpu.stat",
    NULL,
};

/* Whether a file of `place` is there: it begins with the controller's name. */
static int has_file(const struct floor_place* place, const char* file) {
  const size_t size = strlen(place->controller);
  if (size == 0) return place->whole || strcmp(file, "cpu.stat") == 0;
  return strncmp(file, place->controller, size) == 0 && file[size] == '.';
}

static int is_of_version(const struct floor_place* place, const char* file) {
  const int old = strstr(file, "_in_bytes") || strstr(file, "cfs_") || strstr(file, "oom_control");
  const int both = strncmp(file, "pids.", 5) == 0 || strcmp(file, "cpu.stat") == 0;
  return both || old == (place->controller[0] != '\0');
}

static int applies(const struct floor_place* place, const char* file) {
  return has_file(place, file) && is_of_version(place, file);
}

int make_groups(void) {
  int unified = -1;
  for (size_t i = 0; i < place_count; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/floor", places[i].parent);
    need(mkdir(path, 0755), path);
    groups[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(groups[i], path);
    for (size_t j = 0; limits[j][0] != NULL; ++j) {
      if (!applies(&places[i], limits[j][0])) continue;
      write_at(groups[i], limits[j][0], limits[j][1], strlen(limits[j][1]));
    }
    if (places[i].controller[0] == '\0') {
      unified = groups[i];
      continue;
    }
    entrances[i] = openat(groups[i], "tasks", O_WRONLY | O_CLOEXEC);
    need(entrances[i], "tasks");
  }
  return unified;
}

/* Of the calling process: who moves another waits for the kernel's processors. */
void enter_groups(void) {
  for (size_t i = 0; i < place_count; ++i) {
    if (places[i].controller[0] != '\0') need(write(entrances[i], "0", 1), "tasks");
  }
}

void count_and_remove_groups(void) {
  for (size_t i = 0; i < place_count; ++i) {
    char text[4096];
    for (size_t j = 0; counters[j] != NULL; ++j) {
      if (!applies(&places[i], counters[j])) continue;
      const int file = openat(groups[i], counters[j], O_RDONLY | O_CLOEXEC);
      if (file < 0) continue;
      while (read(file, text, sizeof text) > 0) {
      }
      close(file);
    }
    close(groups[i]);
    if (places[i].controller[0] != '\0') close(entrances[i]);
  }
  for (size_t i = place_count; i > 0; --i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/floor", places[i - 1].parent);
    need(rmdir(path), path);
  }
}

static void mount_view(int root, const struct floor_place* place, const char* path) {
  const int old = place->controller[0] != '\0';
  const int context = (int)syscall(SYS_fsopen, old ? "cgroup" : "cgroup2", FSOPEN_CLOEXEC);
  need(context, "fsopen");
  if (old)
    need(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, place->controller, NULL, 0), path);
  need(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), path);
  const int mount =
      (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, READ_ONLY | MOUNT_ATTR_NOEXEC);
  need(mount, path);
  need(syscall(SYS_move_mount, mount, "", root, path, MOVE_MOUNT_F_EMPTY_PATH), path);
  close(mount);
  close(context);
}

void show_groups(int root) {
  if (place_count == 0) return;
  need(mkdirat(root, "sys", 0755), "sys");
  need(mkdirat(root, "sys/fs", 0755), "sys/fs");
  need(mkdirat(root, "sys/fs/cgroup", 0755), "sys/fs/cgroup");
  for (size_t i = 0; i < place_count; ++i) {
    char path[64] = "sys/fs/cgroup";
    if (!places[i].whole) {
      const char* name = places[i].controller[0] == '\0' ? "unified" : places[i].controller;
      snprintf(path, sizeof path, "sys/fs/cgroup/%s", name);
      need(mkdirat(root, path, 0755), path);
    }
    mount_view(root, &places[i], path);
  }
}
