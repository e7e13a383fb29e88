/* SPDX-License-Identifier: Apache-2.0
 *
 * What the floor's sources share. */
#pragma once

#include <linux/mount.h>
#include <stddef.h>
#include <stdint.h>

#include "floor.h"

#define QUIET (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define READ_ONLY (QUIET | MOUNT_ATTR_RDONLY)

enum { MOST_TREES = 48, MOST_FILES = 48, USER = 1000, FIRST_ID = 268435456, IDS = 65536 };

struct tree {
  const char* path; /* absolute */
  int mount;
  int is_file;
};

struct etc_file {
  const char* path; /* absolute */
  const char* text; /* a link's target, or the contents */
  size_t size;
  int is_link;
};

/* One start: made by the caller, and read by the child, which shares its memory. */
struct floor {
  enum floor_part part;
  const char* const* argv;
  int go[2]; /* the caller writes when the id maps are there */
  struct tree trees[MOST_TREES];
  size_t tree_count;
  struct etc_file files[MOST_FILES];
  size_t file_count;
  size_t used; /* of the arena */
  char arena[1 << 20];
};

/* Ends the process when a step failed. */
void need(long result, const char* what);

/* --- the caller ---------------------------------------------------------------------------- */

void take_trees(struct floor* floor);
void read_files(struct floor* floor);
void close_trees(struct floor* floor);
int make_groups(void); /* the directory of version 2, or -1 */
void count_and_remove_groups(void);

/* --- the child ------------------------------------------------------------------------------ */

void set_attributes(int mount, unsigned flags, uint64_t attributes, int user_namespace);
void write_at(int directory, const char* path, const char* text, size_t size);
void build_root(const struct floor* floor);
void build_dev(int root, int users);
void enter_groups(void);
void show_groups(int root);
void give_rights_up(void);
