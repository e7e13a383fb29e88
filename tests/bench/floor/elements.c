/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor's part of nf_tables: one batch with the same elements as the library adds for a sandbox
 * that asks for nothing special. */
#define _GNU_SOURCE
#include "elements.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include "messages.h"

enum { NAME = IFNAMSIZ, MAC = 8, REGISTER = 4 };

struct key {
  uint8_t bytes[NAME + MAC + 16]; /* or two addresses */
  size_t size;
};

/* Each part is followed by zeros up to a whole register. */
static void extend(struct key* key, const void* part, size_t size) {
  memcpy(key->bytes + key->size, part, size);
  key->size += (size + REGISTER - 1) / REGISTER * REGISTER;
}

static struct key pin_of(const char* link, const uint8_t* mac, const uint8_t* address,
                         size_t size) {
  struct key key = {.size = 0};
  memcpy(key.bytes, link, strlen(link));
  key.size = NAME;
  extend(&key, mac, 6);
  extend(&key, address, size);
  return key;
}

static struct key address_key(const uint8_t* address, size_t size) {
  struct key key = {.size = 0};
  extend(&key, address, size);
  return key;
}

static struct key link_key(const char* link) {
  struct key key = {.size = NAME};
  memcpy(key.bytes, link, strlen(link));
  return key;
}

/* What an element of a verdict map says. */
enum verdict { kNone, kAccept }; /* none: it is one of a set */

static void put_accept(struct messages* all) {
  struct nlattr* data = open_nest(all, NFTA_SET_ELEM_DATA);
  struct nlattr* verdict = open_nest(all, NFTA_DATA_VERDICT);
  put_number(all, NFTA_VERDICT_CODE, htonl(NF_ACCEPT));
  close_nest(all, verdict);
  close_nest(all, data);
}

static void put_element(struct messages* all, const struct key* key, enum verdict to) {
  struct nlattr* element = open_nest(all, NFTA_LIST_ELEM);
  struct nlattr* value = open_nest(all, NFTA_SET_ELEM_KEY);
  put(all, NFTA_DATA_VALUE, key->bytes, key->size);
  close_nest(all, value);
  if (to == kAccept) put_accept(all);
  close_nest(all, element);
}

/* What is done with elements: NFT_MSG_NEWSETELEM, GETSETELEM or DELSETELEM. */
struct change {
  struct messages* all;
  const char* table;
  int type;
  uint8_t family;
};

static void change(const struct change* how, const char* set, const struct key* keys, size_t count,
                   enum verdict to) {
  const struct nfgenmsg header = {.nfgen_family = how->family, .version = NFNETLINK_V0};
  const int adds = how->type == NFT_MSG_NEWSETELEM;
  begin(how->all, (NFNL_SUBSYS_NFTABLES << 8) | how->type, adds ? NLM_F_CREATE : 0, &header,
        sizeof header);
  put_text(how->all, NFTA_SET_ELEM_LIST_TABLE, how->table);
  put_text(how->all, NFTA_SET_ELEM_LIST_SET, set);
  struct nlattr* list = open_nest(how->all, NFTA_SET_ELEM_LIST_ELEMENTS);
  for (size_t i = 0; i < count; ++i) put_element(how->all, keys + i, adds ? to : kNone);
  close_nest(how->all, list);
}

static void change_counters(const struct change* how, const char* sent, const char* received,
                            const uint8_t* address, size_t size) {
  struct key keys[2];
  for (uint8_t direction = 0; direction < 2; ++direction) {
    keys[direction] = address_key(address, size);
    extend(&keys[direction], &direction, 1);
  }
  change(how, sent, keys, 2, kNone);
  change(how, received, keys, 2, kNone);
}

static void change_pins(const struct change* how, const struct floor_network* sandbox,
                        const char* name, enum verdict to) {
  const struct key four = pin_of(name, sandbox->mac, sandbox->ipv4, 4);
  const struct key six = pin_of(name, sandbox->mac, sandbox->ipv6, 16);
  change(how, "pins4", &four, 1, to);
  change(how, "pins6", &six, 1, to);
}

/* Whose connections these are: the address, twice. */
static void change_own(const struct change* how, const struct floor_network* sandbox) {
  struct key four = address_key(sandbox->ipv4, 4);
  struct key six = address_key(sandbox->ipv6, 16);
  extend(&four, sandbox->ipv4, 4);
  extend(&six, sandbox->ipv6, 16);
  change(how, "own4", &four, 1, kNone);
  change(how, "own6", &six, 1, kNone);
}

static void change_all(struct messages* all, const struct floor_network* sandbox, int type) {
  const struct change filter = {all, sandbox->table, type, NFPROTO_INET};
  const struct change ports = {all, sandbox->table, type, NFPROTO_BRIDGE};
  const struct key four = address_key(sandbox->ipv4, 4);
  const struct key six = address_key(sandbox->ipv6, 16);
  const struct key link = link_key(sandbox->link);
  change_pins(&filter, sandbox, sandbox->entry, kAccept);
  change(&filter, "standard4", &four, 1, kNone);
  change(&filter, "standard6", &six, 1, kNone);
  change_own(&filter, sandbox);
  change_counters(&filter, "sent4", "received4", sandbox->ipv4, 4);
  change_counters(&filter, "sent6", "received6", sandbox->ipv6, 16);
  if (sandbox->bridge != 0) change_pins(&ports, sandbox, sandbox->link, kNone);
  change(sandbox->bridge != 0 ? &ports : &filter, "forged", &link, 1, kNone);
}

static void mark(struct messages* all, int type) {
  const struct nfgenmsg header = {
      .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
  begin(all, type, 0, &header, sizeof header);
}

static int send_batch(const struct floor_network* sandbox, int type, int socket) {
  struct messages all = {.used = 0};
  mark(&all, NFNL_MSG_BATCH_BEGIN);
  change_all(&all, sandbox, type);
  mark(&all, NFNL_MSG_BATCH_END);
  return send_all(&all, socket, 0);
}

int floor_elements_add(const struct floor_network* sandbox) {
  const int tables = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  const int result = send_batch(sandbox, NFT_MSG_NEWSETELEM, tables);
  close(tables);
  return result;
}

int floor_elements_remove(const struct floor_network* sandbox) {
  const int tables = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  struct messages all = {.used = 0};
  const struct change filter = {&all, sandbox->table, NFT_MSG_GETSETELEM, NFPROTO_INET};
  const struct change ports = {&all, sandbox->table, NFT_MSG_GETSETELEM, NFPROTO_BRIDGE};
  const struct key link = link_key(sandbox->link);
  change_counters(&filter, "sent4", "received4", sandbox->ipv4, 4);
  change_counters(&filter, "sent6", "received6", sandbox->ipv6, 16);
  change(sandbox->bridge != 0 ? &ports : &filter, "forged", &link, 1, kNone);
  int result = send_all(&all, tables, 0);
  if (result == 0) result = send_batch(sandbox, NFT_MSG_DELSETELEM, tables);
  close(tables);
  return result;
}
