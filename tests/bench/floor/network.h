/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of a sandbox's place in the host's network: the messages that the kernel needs to make
 * the same objects, in as few pieces as it takes them in, and nothing looked at twice. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One sandbox, and what its host has already: the tables with their sets, the gateway's addresses
 * and, with `bridge`, that. */
struct floor_network {
  const char* table; /* of the families inet and, with a bridge, bridge */
  const char* link;  /* the outer end of the veth pair */
  uint32_t group;    /* that it is in */
  int bridge;        /* the index of the bridge; 0: the host has a route to the link itself */
  const char* entry; /* the link, or the bridge */
  uint8_t host_mac[6];
  uint8_t mac[6];
  uint8_t ipv4[4];
  uint8_t ipv6[16];
  uint8_t gateway4[4];
  uint8_t gateway6[16];
  int inside; /* a descriptor of the sandbox's network namespace */
  int socket; /* of NETLINK_ROUTE, in there */
};

/* Makes what needs no namespace yet. Returns 0; -1 with errno when the kernel refuses something. */
int floor_network_enter(const struct floor_network* sandbox);

/* And the rest; likewise. */
int floor_network_connect(const struct floor_network* sandbox);

/* Reads its counters and takes it back, once its namespace has ended. */
int floor_network_leave(const struct floor_network* sandbox);

#ifdef __cplusplus
}
#endif
