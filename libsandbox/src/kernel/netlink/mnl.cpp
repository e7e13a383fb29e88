// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink/mnl.hpp"

#include "sys/loaded_library.hpp"

namespace sbx::detail {

Mnl::Mnl() {
  const LoadedLibrary library("libmnl.so.0", "cannot talk to the kernel about networks",
                              "install the package libmnl0");
#define SBX_MNL_FIND(name) library.find(name, "mnl_" #name);
  SBX_MNL_FUNCTIONS(SBX_MNL_FIND)
#undef SBX_MNL_FIND
}

const Mnl& mnl() {
  static const Mnl loaded;
  return loaded;
}

}  // namespace sbx::detail
