/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor that starts are measured against: the system calls that any sandbox of this shape
 * needs, one after the other, with nothing checked twice and next to nothing computed. */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a start is made of, each with those before it. */
enum floor_part {
  FLOOR_EXEC,       /* a child on its caller's memory, and exec */
  FLOOR_NAMESPACES, /* mount, pid, ipc, uts, cgroup and time namespaces; a hostname */
  FLOOR_ROOT,       /* a root of tmpfs and read-only binds, /proc, places to write, pivot_root */
  FLOOR_DEV,        /* /dev with devices, pts, shm, mqueue; masked and read-only files of /proc */
  FLOOR_NETWORK,    /* a network namespace with its loopback up, and its two settings */
  FLOOR_RIGHTS,     /* a session, keyring and user of its own; no capabilities, no_new_privs */
  FLOOR_USERS,      /* a user namespace with a map of 65536 ids, and the trees shown through it */
  FLOOR_FILES,      /* the small files of /etc copied, the large ones mounted */
  FLOOR_LIMITS,     /* a control group with limits of memory, processors and processes */
};

/* Runs argv[0], an absolute path, in what `part` says, by nothing but system calls, and waits for
 * it. Returns its wait status; -1 when a step failed, which is named on standard error. For one
 * thread at a time. */
int floor_run(enum floor_part part, const char* const argv[]);

/* Where FLOOR_LIMITS makes its group: in each hierarchy the caller's own directory. */
struct floor_place {
  const char* parent;     /* absolute; lives as long as it is used */
  const char* controller; /* of version 1; "" for the hierarchy of version 2 */
  int whole;              /* version 2 has the controllers, and is the only one */
};
void floor_use_groups(const struct floor_place* where, size_t count);

/* What of the host is shown as it is: absolute paths, some of which a host may lack. NULL ends. */
extern const char* const floor_trees[];

/* The settings that are copied, or mounted when they are larger than this. */
extern const char* const floor_files[];
enum { FLOOR_LARGEST_COPY = 16 << 10 };

/* What is hidden of /proc, relative to the root. */
extern const char* const floor_masks[];

#ifdef __cplusplus
}
#endif
