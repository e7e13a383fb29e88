// SPDX-License-Identifier: Apache-2.0
//
// Links in network namespaces of the test's own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sbx/error.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/link.hpp"
#include "sbx/namespace.hpp"

namespace sbx::test {

using Names = std::vector<std::string>;

inline IpAddress ip(const std::string& text) { return IpAddress::parse(text); }
inline IpPrefix block(const std::string& text) { return IpPrefix::parse(text); }
inline MacAddress mac(int last) {
  return {.bytes = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(last)}};
}

/// A namespace of the test's own, and the talk about its links.
struct Network {
  Namespace space = Namespace::create(NamespaceKind::kNet);
  Rtnetlink links{space};
};

/// Two of them, joined by "outer" in the one and "inner" in the other, and up.
struct Pair {
  Network one{};
  Network two{};
  Link outer = one.links.create({.name = "outer",
                                 .mac = mac(1),
                                 .peer_name = "inner",
                                 .peer_mac = mac(2),
                                 .peer_namespace = &two.space,
                                 .link_local = false});
  Link inner = two.links.open("inner");

  Pair(const std::string& outer_address, const std::string& inner_address) {
    outer.add_address(block(outer_address));
    inner.add_address(block(inner_address));
    outer.set_up();
    inner.set_up();
  }
};

/// The errno of what `body` throws; 0 when it throws nothing.
template <typename F>
int errno_of(F body) {
  try {
    body();
  } catch (const SystemError& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace sbx::test
