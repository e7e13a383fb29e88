// SPDX-License-Identifier: Apache-2.0
#include "launch/network/resolver.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using sbx::IpAddress;
using sbx::detail::Resolver;
using sbx::detail::resolver_from;

namespace {

std::vector<IpAddress> addresses(std::initializer_list<const char*> texts) {
  std::vector<IpAddress> all;
  for (const char* text : texts) all.push_back(IpAddress::parse(text));
  return all;
}

}  // namespace

TEST_CASE("the host's name servers are the sandbox's, and the other settings too") {
  const Resolver found = resolver_from(
      "# a comment\nnameserver 10.0.0.1\nsearch example.org\nnameserver 2001:db8::1\noptions "
      "edns0\n",
      "");

  CHECK(found.servers == addresses({"10.0.0.1", "2001:db8::1"}));
  CHECK(found.file ==
        "search example.org\noptions edns0\nnameserver 10.0.0.1\nnameserver 2001:db8::1\n");
}

TEST_CASE("in place of a stub on the loopback stand the servers behind it") {
  const Resolver found =
      resolver_from("nameserver 127.0.0.53\noptions trust-ad\n", "nameserver 192.168.1.1\n");

  CHECK(found.servers == addresses({"192.168.1.1"}));
  CHECK(found.file == "options trust-ad\nnameserver 192.168.1.1\n");
}

TEST_CASE("a server on the loopback with nothing known behind it is asked by the host") {
  const Resolver found = resolver_from("nameserver ::1\nnameserver 127.0.0.1\n", "");

  CHECK(found.servers == addresses({"127.0.0.1"}));
  CHECK(found.file == "nameserver 169.254.1.53\n");
}

TEST_CASE("a server that only one of the host's links knows is left out") {
  CHECK(resolver_from("nameserver fe80::1%eth0\nnameserver\nnameserver x\n", "").servers.empty());
  CHECK(resolver_from("", "").file.empty());
}
