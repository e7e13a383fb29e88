/* SPDX-License-Identifier: Apache-2.0
 *
 * What the floor's child gives up before it executes. */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

static void drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct nothing[2] = {{0, 0, 0}, {0, 0, 0}};
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  need(syscall(SYS_capset, &header, nothing), "capset");
}

void give_rights_up(void) {
  need(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyring");
  need(setsid(), "setsid");
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability) == 0; ++capability) continue;
  need(syscall(SYS_setgroups, 0, NULL), "setgroups");
  need(syscall(SYS_setresgid, USER, USER, USER), "setresgid");
  need(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
  prctl(PR_SET_DUMPABLE, 1); /* the memory is the caller's */
  drop_capabilities();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  need(chdir("/home/sandbox"), "chdir");
  need(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC), "close_range");
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}
