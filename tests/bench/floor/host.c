/* SPDX-License-Identifier: Apache-2.0
 *
 * What the floor takes of the host, before it clones. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

/* Both lists are those of libsandbox/src/launch/host_root.cpp; the bench checks that what comes of
 * them is the same. */
const char* const floor_trees[] = {"/usr",
                                   "/etc/alternatives",
                                   "/etc/ssl/certs",
                                   "/etc/fonts",
                                   "/etc/perl",
                                   "/etc/python3",
                                   "/etc/python3.11",
                                   "/etc/java-17-openjdk",
                                   "/etc/ImageMagick-6",
                                   "/etc/php",
                                   "/etc/terminfo",
                                   NULL};

const char* const floor_files[] = {
    "/etc/bash.bashrc", "/etc/debian_version", "/etc/gai.conf",   "/etc/host.conf",
    "/etc/inputrc",     "/etc/ld.so.cache",    "/etc/localtime",  "/etc/lsb-release",
    "/etc/mime.types",  "/etc/nsswitch.conf",  "/etc/os-release", "/etc/profile",
    "/etc/protocols",   "/etc/services",       "/etc/shells",     "/etc/ssl/openssl.cnf",
    "/etc/timezone",    "/etc/passwd",         "/etc/group",      NULL};

static void take_tree(struct floor* floor, const char* path, int is_file) {
  const int mount =
      (int)syscall(SYS_open_tree, AT_FDCWD, path,
                   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
  if (mount < 0) return; /* not on this host */
  floor->trees[floor->tree_count++] =
      (struct tree){.path = path, .mount = mount, .is_file = is_file};
}

void take_trees(struct floor* floor) {
  for (const char* const* path = floor_trees; *path != NULL; ++path) take_tree(floor, *path, 0);
}

void close_trees(struct floor* floor) {
  for (size_t i = 0; i < floor->tree_count; ++i) close(floor->trees[i].mount);
}

static void add_file(struct floor* floor, const char* path, ssize_t size, int is_link) {
  floor->files[floor->file_count++] = (struct etc_file){
      .path = path, .text = floor->arena + floor->used, .size = (size_t)size, .is_link = is_link};
  floor->used += (size_t)size + 1;
}

static void read_link(struct floor* floor, const char* path) {
  char* target = floor->arena + floor->used;
  const ssize_t size = readlink(path, target, 4096);
  if (size < 0) return;
  target[size] = '\0';
  add_file(floor, path, size, 1);
}

void read_files(struct floor* floor) {
  for (const char* const* path = floor_files; *path != NULL; ++path) {
    const int fd = open(*path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
      if (errno == ELOOP) read_link(floor, *path);
      continue;
    }
    const ssize_t size = read(fd, floor->arena + floor->used, FLOOR_LARGEST_COPY + 1);
    close(fd);
    if (size > FLOOR_LARGEST_COPY) {
      take_tree(floor, *path, 1);
    } else if (size >= 0) {
      add_file(floor, *path, size, 0);
    }
  }
}
