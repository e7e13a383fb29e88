/* SPDX-License-Identifier: Apache-2.0
 *
 * Netlink messages, one after the other in one piece. */
#pragma once

#include <errno.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct messages {
  _Alignas(NLMSG_ALIGNTO) char bytes[8192];
  size_t used;
  struct nlmsghdr* last;
};

static inline void begin(struct messages* all, int type, int flags, const void* header,
                         size_t size) {
  all->last = (struct nlmsghdr*)(all->bytes + all->used);
  *all->last = (struct nlmsghdr){.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(size)),
                                 .nlmsg_type = (uint16_t)type,
                                 .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
  memcpy(NLMSG_DATA(all->last), header, size);
  all->used += all->last->nlmsg_len;
}

static inline struct nlattr* put(struct messages* all, int type, const void* data, size_t size) {
  struct nlattr* attribute = (struct nlattr*)(all->bytes + all->used);
  attribute->nla_type = (uint16_t)type;
  attribute->nla_len = (uint16_t)(NLA_HDRLEN + size);
  if (size > 0) memcpy((char*)attribute + NLA_HDRLEN, data, size);
  const size_t whole = NLA_ALIGN(attribute->nla_len);
  memset((char*)attribute + attribute->nla_len, 0, whole - attribute->nla_len);
  all->used += whole;
  all->last->nlmsg_len += (uint32_t)whole;
  return attribute;
}

static inline void put_text(struct messages* all, int type, const char* text) {
  put(all, type, text, strlen(text) + 1);
}

static inline void put_byte(struct messages* all, int type, uint8_t value) {
  put(all, type, &value, sizeof value);
}

static inline void put_number(struct messages* all, int type, uint32_t value) {
  put(all, type, &value, sizeof value);
}

static inline struct nlattr* open_nest(struct messages* all, int type) {
  return put(all, type | NLA_F_NESTED, NULL, 0);
}

static inline void close_nest(const struct messages* all, struct nlattr* nest) {
  nest->nla_len = (uint16_t)(all->bytes + all->used - (const char*)nest);
}

/* What the kernel answers is there when send(2) is done. Returns -1 for the first error, but for
 * one that is `expected`. */
static inline int send_all(const struct messages* all, int socket, int expected) {
  _Alignas(NLMSG_ALIGNTO) char answers[8192];
  if (send(socket, all->bytes, all->used, 0) < 0) return -1;
  for (;;) {
    const ssize_t size = recv(socket, answers, sizeof answers, MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN ? 0 : -1;
    unsigned left = (unsigned)size;
    const struct nlmsghdr* each = (const struct nlmsghdr*)answers;
    for (; NLMSG_OK(each, left); each = NLMSG_NEXT(each, left)) {
      const int error =
          each->nlmsg_type == NLMSG_ERROR ? -((const struct nlmsgerr*)NLMSG_DATA(each))->error : 0;
      if (error == 0 || error == expected) continue;
      errno = error;
      return -1;
    }
  }
}
