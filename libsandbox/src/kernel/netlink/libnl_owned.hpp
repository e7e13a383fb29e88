// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <new>

#include "kernel/netlink/libnl.hpp"

// Objects of libnl's that go with their handles.
namespace sbx::detail {

template <auto kPut>
struct Put {
  template <typename T>
  void operator()(T* object) const noexcept {
    (libnl().*kPut)(object);
  }
};

template <typename T, auto kPut>
using Owned = std::unique_ptr<T, Put<kPut>>;

using OwnedAddr = Owned<nl_addr, &Libnl::nl_addr_put>;
using OwnedMessage = Owned<nl_msg, &Libnl::nlmsg_free>;
using OwnedLink = Owned<rtnl_link, &Libnl::rtnl_link_put>;
using OwnedLinkAddress = Owned<rtnl_addr, &Libnl::rtnl_addr_put>;
using OwnedRoute = Owned<rtnl_route, &Libnl::rtnl_route_put>;
using OwnedNeighbour = Owned<rtnl_neigh, &Libnl::rtnl_neigh_put>;

/// Of what libnl makes or does: it runs out of memory, or there is a mistake here.
template <typename T>
T* made(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

inline void done(int result) {
  if (result < 0) throw std::bad_alloc();
}

/// The message that `build`, one of libnl's functions, makes of `arguments`.
template <typename F, typename... Args>
OwnedMessage build(F build, Args... arguments) {
  nl_msg* message = nullptr;
  done(build(arguments..., &message));
  return OwnedMessage(message);
}

}  // namespace sbx::detail
