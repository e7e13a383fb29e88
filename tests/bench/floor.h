/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* What a start is made of, each with those before it. */
enum floor_part {
  FLOOR_EXEC,       /* fork and exec */
  FLOOR_NAMESPACES, /* mount, pid, ipc, uts, cgroup and time namespaces */
  FLOOR_ROOT,       /* a root of tmpfs and read-only binds, /proc, places to write, pivot_root */
  FLOOR_DEV,        /* /dev with devices, pts, shm, mqueue; masked and read-only files of /proc */
  FLOOR_NETWORK,    /* a network namespace with its loopback up */
  FLOOR_USERS,      /* a user namespace with a map of 65536 ids */
};

/* Runs /usr/bin/true in what `part` says, by nothing but system calls, and waits for it. Returns
 * its wait status; -1 when a step failed, which is named on standard error. */
int floor_run(enum floor_part part);

#ifdef __cplusplus
}
#endif
