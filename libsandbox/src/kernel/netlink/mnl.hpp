// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libmnl/libmnl.h>

namespace sbx::detail {

// A macro, because the name of each function is needed as a name and as a word.
#define SBX_MNL_FUNCTIONS(F) \
  F(attr_get_len)            \
  F(attr_get_payload)        \
  F(attr_get_payload_len)    \
  F(attr_get_str)            \
  F(attr_get_type)           \
  F(attr_get_u32)            \
  F(attr_next)               \
  F(attr_ok)                 \
  F(attr_parse)              \
  F(attr_parse_nested)       \
  F(attr_parse_payload)      \
  F(attr_put)                \
  F(attr_put_check)          \
  F(attr_put_strz)           \
  F(attr_put_u32)            \
  F(attr_put_u64)            \
  F(attr_put_u8)             \
  F(attr_nest_end)           \
  F(attr_nest_start)         \
  F(attr_nest_start_check)   \
  F(attr_type_valid)         \
  F(nlmsg_get_payload)       \
  F(nlmsg_next)              \
  F(nlmsg_ok)                \
  F(nlmsg_put_extra_header)  \
  F(nlmsg_put_header)

/// The functions of libmnl that are used, by their names without "mnl_".
struct Mnl {
  Mnl();

#define SBX_MNL_MEMBER(name) decltype(&::mnl_##name) name = nullptr;
  SBX_MNL_FUNCTIONS(SBX_MNL_MEMBER)
#undef SBX_MNL_MEMBER
};

/// Opened by the first call. Throws SystemError: ENOENT where libmnl is missing.
const Mnl& mnl();

}  // namespace sbx::detail
