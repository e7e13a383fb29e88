// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <linux/netlink.h>

#include <stdexcept>
#include <string>

#include "kernel/netlink/nft_elements.hpp"
#include "sbx/nftables.hpp"

using sbx::IpAddress;
using sbx::MacAddress;
using sbx::detail::value_after;
using sbx::nft::Value;

using Bytes = std::vector<std::uint8_t>;

TEST_CASE("a value of one part is as long as its type") {
  CHECK(Value().add_port(8022).bytes() == Bytes{0x1f, 0x56});
  CHECK(Value().add_byte(17).bytes() == Bytes{17});
  CHECK(Value(MacAddress{{2, 0, 0, 0, 0, 1}}).bytes() == Bytes{2, 0, 0, 0, 0, 1});
  CHECK(Value(IpAddress::parse("10.0.0.5")).bytes() == Bytes{10, 0, 0, 5});
  CHECK(Value(IpAddress::parse("::1")).bytes().size() == 16);
  CHECK(Value().bytes().empty());
}

TEST_CASE("each part of a concatenation is filled up to four bytes") {
  const auto value = Value(IpAddress::parse("10.0.0.5")).add_byte(6).add_port(22);

  CHECK(value.bytes() == Bytes{10, 0, 0, 5, 6, 0, 0, 0, 0, 22, 0, 0});
  CHECK(Value(MacAddress{{2, 0, 0, 0, 0, 1}}).add_byte(1).bytes() ==
        Bytes{2, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0});
}

TEST_CASE("a number is in the machine's byte order") {
  const std::uint32_t number = 0x01020304;
  const auto* start = reinterpret_cast<const std::uint8_t*>(&number);

  CHECK(Value().add_number(number).bytes() == Bytes(start, start + sizeof number));
}

TEST_CASE("the name of an interface is filled up with zeroes") {
  const auto bytes = Value().add_name("eth0").bytes();

  CHECK(bytes.size() == 16);
  CHECK(std::string(bytes.begin(), bytes.begin() + 5) == std::string("eth0\0", 5));
  CHECK_THROWS_WITH_AS(Value().add_name("sixteen-letters!"),
                       "the name of an interface is too long: 'sixteen-letters!'",
                       std::invalid_argument);
}

TEST_CASE("a value is told in hexadecimal digits") {
  CHECK(Value(IpAddress::parse("10.0.0.5")).add_port(8022).to_string() == "0a0000051f560000");
}

TEST_CASE("values are equal where all their parts are") {
  CHECK(Value().add_port(1) == Value().add_port(1));
  CHECK(Value().add_port(1) != Value().add_port(2));
  CHECK(Value().add_port(1) < Value().add_port(2));
}

TEST_CASE("after the highest value comes none") {
  CHECK(value_after({0, 1}) == Bytes{0, 2});
  CHECK(value_after({0, 0xff}) == Bytes{1, 0});
  CHECK(!value_after({0xff, 0xff}));
}
