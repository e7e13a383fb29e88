// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/libnl.hpp"

#include "sys/loaded_library.hpp"

namespace sbx::detail {

Libnl::Libnl() {
  const char* const attempt = "cannot talk to the kernel about network links";
  const char* const cure = "install the package libnl-route-3-200";
  const LoadedLibrary library("libnl-3.so.200", attempt, cure);
  const LoadedLibrary route_library("libnl-route-3.so.200", attempt, cure);
#define SBX_LIBNL_FIND(name) library.find(name, #name);
  SBX_LIBNL_FUNCTIONS(SBX_LIBNL_FIND)
#undef SBX_LIBNL_FIND
#define SBX_LIBNL_FIND(name) route_library.find(name, #name);
  SBX_LIBNL_ROUTE_FUNCTIONS(SBX_LIBNL_FIND)
#undef SBX_LIBNL_FIND
}

const Libnl& libnl() {
  static const Libnl loaded;
  return loaded;
}

}  // namespace sbx::detail
