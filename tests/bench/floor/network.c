/* SPDX-License-Identifier: Apache-2.0
 *
 * Links, addresses, routes and neighbours of the floor; its elements are in elements.c. */
#define _GNU_SOURCE
#include "network.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "elements.h"
#include "messages.h"

static const int create = NLM_F_CREATE | NLM_F_EXCL;
static const int replace = NLM_F_CREATE | NLM_F_REPLACE;

/* Any socket answers this, and sooner than rtnetlink does. */
static int index_of(int socket, const char* name) {
  struct ifreq request = {.ifr_name = ""};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return ioctl(socket, SIOCGIFINDEX, &request) < 0 ? -1 : request.ifr_ifindex;
}

static void put_pair(struct messages* all, const struct floor_network* sandbox) {
  const struct ifinfomsg outer = {.ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
  const struct ifinfomsg inner = {.ifi_family = AF_UNSPEC};
  begin(all, RTM_NEWLINK, create, &outer, sizeof outer);
  put_text(all, IFLA_IFNAME, sandbox->link);
  put_number(all, IFLA_GROUP, sandbox->group);
  if (sandbox->bridge == 0) put(all, IFLA_ADDRESS, sandbox->host_mac, 6);
  if (sandbox->bridge != 0) put_number(all, IFLA_MASTER, (uint32_t)sandbox->bridge);
  struct nlattr* info = open_nest(all, IFLA_LINKINFO);
  put_text(all, IFLA_INFO_KIND, "veth");
  struct nlattr* data = open_nest(all, IFLA_INFO_DATA);
  struct nlattr* peer = put(all, VETH_INFO_PEER | NLA_F_NESTED, &inner, sizeof inner);
  put_text(all, IFLA_IFNAME, "eth0");
  put(all, IFLA_ADDRESS, sandbox->mac, 6);
  put_number(all, IFLA_NET_NS_FD, (uint32_t)sandbox->inside);
  close_nest(all, peer);
  close_nest(all, data);
  close_nest(all, info);
}

static void put_port(struct messages* all) {
  static const int off[] = {IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD,
                            IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_BCAST_FLOOD};
  struct nlattr* info = open_nest(all, IFLA_LINKINFO);
  put_text(all, IFLA_INFO_SLAVE_KIND, "bridge");
  struct nlattr* data = open_nest(all, IFLA_INFO_SLAVE_DATA);
  put_byte(all, IFLA_BRPORT_ISOLATED, 1);
  for (size_t i = 0; i < sizeof off / sizeof *off; ++i) put_byte(all, off[i], 0);
  close_nest(all, data);
  close_nest(all, info);
}

/* Without an IPv6 address that it gives itself, and then up. */
static void put_up(struct messages* all, int index, int is_port) {
  const struct ifinfomsg link = {.ifi_index = index};
  const struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(all, RTM_NEWLINK, 0, &link, sizeof link);
  if (is_port) put_port(all);
  struct nlattr* families = open_nest(all, IFLA_AF_SPEC);
  struct nlattr* family = open_nest(all, AF_INET6);
  put_byte(all, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  close_nest(all, family);
  close_nest(all, families);
  begin(all, RTM_NEWLINK, 0, &up, sizeof up);
}

static void put_neighbour(struct messages* all, int index, const uint8_t* address, size_t size,
                          const uint8_t* mac) {
  const struct ndmsg header = {.ndm_family = size == 4 ? AF_INET : AF_INET6,
                               .ndm_ifindex = index,
                               .ndm_state = NUD_PERMANENT};
  begin(all, RTM_NEWNEIGH, replace, &header, sizeof header);
  put(all, NDA_DST, address, size);
  put(all, NDA_LLADDR, mac, 6);
}

static void put_forwarding(struct messages* all, int index, const uint8_t* mac) {
  const struct ndmsg header = {.ndm_family = AF_BRIDGE,
                               .ndm_ifindex = index,
                               .ndm_state = NUD_NOARP,
                               .ndm_flags = NTF_MASTER};
  begin(all, RTM_NEWNEIGH, replace, &header, sizeof header);
  put(all, NDA_LLADDR, mac, 6);
}

/* To `address` alone or, by `gateway`, to everywhere. */
static void put_route(struct messages* all, int type, int flags, int index, const uint8_t* address,
                      size_t size, const uint8_t* gateway) {
  const struct rtmsg header = {.rtm_family = size == 4 ? AF_INET : AF_INET6,
                               .rtm_dst_len = gateway ? 0 : (unsigned char)(size * 8),
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                               .rtm_type = RTN_UNICAST,
                               .rtm_flags = gateway ? RTNH_F_ONLINK : 0};
  begin(all, type, flags, &header, sizeof header);
  if (address) put(all, RTA_DST, address, size);
  if (gateway) put(all, RTA_GATEWAY, gateway, size);
  put_number(all, RTA_OIF, (uint32_t)index);
}

static void put_address(struct messages* all, int index, const uint8_t* address, size_t size) {
  const struct ifaddrmsg header = {.ifa_family = size == 4 ? AF_INET : AF_INET6,
                                   .ifa_prefixlen = (unsigned char)(size * 8),
                                   .ifa_flags = size == 4 ? 0 : IFA_F_NODAD,
                                   .ifa_index = (unsigned)index};
  begin(all, RTM_NEWADDR, create, &header, sizeof header);
  put(all, IFA_LOCAL, address, size);
}

static int join_outside(const struct floor_network* sandbox, int socket) {
  struct messages all = {.used = 0};
  put_pair(&all, sandbox);
  if (send_all(&all, socket, 0) < 0) return -1;
  const int index = index_of(socket, sandbox->link);
  const int way = sandbox->bridge != 0 ? sandbox->bridge : index;
  all.used = 0;
  put_up(&all, index, sandbox->bridge != 0);
  if (sandbox->bridge != 0) put_forwarding(&all, index, sandbox->mac);
  put_route(&all, RTM_NEWROUTE, replace, way, sandbox->ipv4, 4, NULL);
  put_route(&all, RTM_NEWROUTE, replace, way, sandbox->ipv6, 16, NULL);
  put_neighbour(&all, way, sandbox->ipv4, 4, sandbox->mac);
  put_neighbour(&all, way, sandbox->ipv6, 16, sandbox->mac);
  return send_all(&all, socket, 0);
}

static int join_inside(const struct floor_network* sandbox) {
  struct messages all = {.used = 0};
  const int index = index_of(sandbox->socket, "eth0");
  put_address(&all, index, sandbox->ipv4, 4);
  put_address(&all, index, sandbox->ipv6, 16);
  put_neighbour(&all, index, sandbox->gateway4, 4, sandbox->host_mac);
  put_neighbour(&all, index, sandbox->gateway6, 16, sandbox->host_mac);
  put_up(&all, index, 0);
  put_route(&all, RTM_NEWROUTE, replace, index, NULL, 4, sandbox->gateway4);
  put_route(&all, RTM_NEWROUTE, replace, index, NULL, 16, sandbox->gateway6);
  return send_all(&all, sandbox->socket, 0);
}

/* Lets the kernel notice at once that both ends are up: it does when it is asked. */
static int wake(const struct floor_network* sandbox, int socket) {
  struct messages all = {.used = 0};
  const struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
  begin(&all, RTM_GETLINK, 0, &link, sizeof link);
  put_text(&all, IFLA_IFNAME, sandbox->link);
  if (sandbox->bridge != 0) {
    const struct ifinfomsg bridge = {.ifi_index = sandbox->bridge};
    begin(&all, RTM_GETLINK, 0, &bridge, sizeof bridge);
  }
  return send_all(&all, socket, 0);
}

int floor_network_enter(const struct floor_network* sandbox) { return floor_elements_add(sandbox); }

int floor_network_connect(const struct floor_network* sandbox) {
  const int routes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  int result = join_outside(sandbox, routes);
  if (result == 0) result = join_inside(sandbox);
  if (result == 0) result = wake(sandbox, routes);
  close(routes);
  return result;
}

int floor_network_leave(const struct floor_network* sandbox) {
  int result = floor_elements_remove(sandbox);
  /* Its link takes the routes through it with it; those through the bridge stay. */
  if (result < 0 || sandbox->bridge == 0) return result;
  const int routes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct messages all = {.used = 0};
  put_route(&all, RTM_DELROUTE, 0, sandbox->bridge, sandbox->ipv4, 4, NULL);
  put_route(&all, RTM_DELROUTE, 0, sandbox->bridge, sandbox->ipv6, 16, NULL);
  const struct ndmsg four = {.ndm_family = AF_INET, .ndm_ifindex = sandbox->bridge};
  begin(&all, RTM_DELNEIGH, 0, &four, sizeof four);
  put(&all, NDA_DST, sandbox->ipv4, 4);
  const struct ndmsg six = {.ndm_family = AF_INET6, .ndm_ifindex = sandbox->bridge};
  begin(&all, RTM_DELNEIGH, 0, &six, sizeof six);
  put(&all, NDA_DST, sandbox->ipv6, 16);
  result = send_all(&all, routes, ESRCH);
  close(routes);
  return result;
}
