// SPDX-License-Identifier: Apache-2.0
#include "sbx/ip_address.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

using sbx::IpAddress;
using sbx::IpFamily;
using sbx::IpPrefix;
using sbx::MacAddress;

namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text); }
IpPrefix block(std::string_view text) { return IpPrefix::parse(text); }
std::string at(std::string_view text, std::uint64_t number) {
  return block(text).at(number).to_string();
}

}  // namespace

TEST_CASE("an IP address is read and written as inet_pton does") {
  CHECK(ip("192.0.2.1").to_string() == "192.0.2.1");
  CHECK(ip("192.0.2.1").family() == IpFamily::kIpv4);
  CHECK(ip("192.0.2.1").bits() == 32);
  CHECK(ip("2001:DB8:0::1").to_string() == "2001:db8::1");
  CHECK(ip("2001:db8::1").family() == IpFamily::kIpv6);
  CHECK(ip("2001:db8::1").bits() == 128);
  CHECK(ip("::ffff:192.0.2.1").to_string() == "::ffff:192.0.2.1");
  CHECK(IpAddress().to_string() == "0.0.0.0");
}

TEST_CASE("an IP address is its bytes in network order") {
  constexpr std::array<std::uint8_t, 4> kBytes{10, 0, 0, 7};
  constexpr std::array<std::uint8_t, 16> kLong{0xfe, 0x80, 0, 0, 0, 0, 0, 0,
                                               0,    0,    0, 0, 0, 0, 0, 9};

  CHECK(IpAddress(kBytes) == ip("10.0.0.7"));
  CHECK(IpAddress(kLong) == ip("fe80::9"));
  CHECK(ip("10.0.0.7").bytes().size() == 4);
  CHECK(ip("10.0.0.7").bytes()[3] == 7);
  CHECK(ip("fe80::9").bytes().size() == 16);
  CHECK(ip("fe80::9").bytes()[15] == 9);
}

TEST_CASE("what is no IP address is refused") {
  CHECK_THROWS_WITH_AS(ip("10.0.0.256"),
                       "'10.0.0.256' is no IP address: one is like 192.0.2.1 or 2001:db8::1",
                       std::invalid_argument);
  CHECK_THROWS_AS(ip(""), std::invalid_argument);
  CHECK_THROWS_AS(ip("10.0.0"), std::invalid_argument);
  CHECK_THROWS_AS(ip("10.0.0.1 "), std::invalid_argument);
  CHECK_THROWS_AS(ip(" 10.0.0.1"), std::invalid_argument);
  CHECK_THROWS_AS(ip("010.0.0.1"), std::invalid_argument);
  CHECK_THROWS_AS(ip("0x0a.0.0.1"), std::invalid_argument);
  CHECK_THROWS_AS(ip("10.0.0.1/32"), std::invalid_argument);
  CHECK_THROWS_AS(ip("fe80::1%eth0"), std::invalid_argument);
  CHECK_THROWS_AS(ip("[::1]"), std::invalid_argument);
  CHECK_THROWS_AS(ip(":::"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(ip(std::string_view("10.0.0.1\0x", 10)),
                       "'10.0.0.1\\x00x' is no IP address: one is like 192.0.2.1 or 2001:db8::1",
                       std::invalid_argument);
}

TEST_CASE("IP addresses are in order, IPv4 first") {
  CHECK(ip("10.0.0.1") < ip("10.0.0.2"));
  CHECK(ip("9.255.255.255") < ip("10.0.0.0"));
  CHECK(ip("255.255.255.255") < ip("::"));
  CHECK(ip("::1") != ip("0.0.0.1"));
  CHECK(ip("0.0.0.0") != ip("::"));
}

TEST_CASE("a loopback address is one of 127.0.0.0/8, or ::1") {
  CHECK(ip("127.0.0.1").is_loopback());
  CHECK(ip("127.255.0.3").is_loopback());
  CHECK(ip("::1").is_loopback());
  CHECK_FALSE(ip("126.0.0.1").is_loopback());
  CHECK_FALSE(ip("::2").is_loopback());
  CHECK_FALSE(ip("7f00::1").is_loopback());
}

TEST_CASE("a block of addresses is an address and a length") {
  CHECK(block("10.1.2.3/8").to_string() == "10.1.2.3/8");
  CHECK(block("10.1.2.3/8").first() == ip("10.0.0.0"));
  CHECK(block("0.0.0.0/0").length == 0);
  CHECK(block("10.0.0.1").length == 32);
  CHECK(block("::1").length == 128);
  CHECK(block("2001:db8:ffff::/33").first() == ip("2001:db8:8000::"));
  CHECK(block("255.255.255.255/31").first() == ip("255.255.255.254"));
}

TEST_CASE("what is no block of addresses is refused") {
  CHECK_THROWS_WITH_AS(
      block("10.0.0.0/33"),
      "'10.0.0.0/33' is no block of addresses: its length is a number from 0 to 32",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(block("::/129"),
                       "'::/129' is no block of addresses: its length is a number from 0 to 128",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(block("10/8"),
                       "'10/8' is no block of addresses: one is like 192.0.2.0/24 or 2001:db8::/32",
                       std::invalid_argument);
  CHECK_THROWS_AS(block(""), std::invalid_argument);
  CHECK_THROWS_AS(block("/8"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/-1"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/+8"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/8 "), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/8/8"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/255.0.0.0"), std::invalid_argument);
  CHECK_THROWS_AS(block("10.0.0.0/4294967304"), std::invalid_argument);
}

TEST_CASE("a block contains what starts as it does") {
  CHECK(block("10.0.0.0/8").contains(ip("10.255.0.1")));
  CHECK_FALSE(block("10.0.0.0/8").contains(ip("11.0.0.0")));
  CHECK(block("10.0.0.128/25").contains(ip("10.0.0.255")));
  CHECK_FALSE(block("10.0.0.128/25").contains(ip("10.0.0.127")));
  CHECK(block("0.0.0.0/0").contains(ip("255.255.255.255")));
  CHECK_FALSE(block("0.0.0.0/0").contains(ip("::")));
  CHECK(block("fe80::/10").contains(ip("febf::1")));
  CHECK_FALSE(block("fe80::/10").contains(ip("fec0::1")));
  CHECK(block("::1").contains(ip("::1")));
  CHECK_FALSE(block("::1").contains(ip("::")));
}

TEST_CASE("a block contains the blocks that are not larger") {
  CHECK(block("10.0.0.0/8").contains(block("10.0.0.0/8")));
  CHECK(block("10.0.0.0/8").contains(block("10.9.0.0/16")));
  CHECK_FALSE(block("10.0.0.0/8").contains(block("10.0.0.0/7")));
  CHECK_FALSE(block("10.0.0.0/8").contains(block("11.0.0.0/16")));
  CHECK_FALSE(block("::/0").contains(block("10.0.0.0/8")));
}

TEST_CASE("blocks overlap when one contains the other") {
  CHECK(block("10.0.0.0/8").overlaps(block("10.9.0.0/16")));
  CHECK(block("10.9.0.0/16").overlaps(block("10.0.0.0/8")));
  CHECK(block("10.0.0.7/24").overlaps(block("10.0.0.9/24")));
  CHECK_FALSE(block("10.0.0.0/9").overlaps(block("10.128.0.0/9")));
  CHECK_FALSE(block("0.0.0.0/0").overlaps(block("::/0")));
  CHECK(block("::/0").overlaps(block("2001:db8::/32")));
}

TEST_CASE("the addresses of a block are numbered from its first") {
  CHECK(at("10.0.0.0/16", 0) == "10.0.0.0");
  CHECK(at("10.0.9.9/16", 1) == "10.0.0.1");
  CHECK(at("10.0.0.0/16", 255) == "10.0.0.255");
  CHECK(at("10.0.0.0/16", 256) == "10.0.1.0");
  CHECK(at("10.0.0.0/16", 65535) == "10.0.255.255");
  CHECK(at("10.0.0.0/8", 0x123456) == "10.18.52.86");
  CHECK(at("2001:db8::/64", 0xffff) == "2001:db8::ffff");
  CHECK(at("2001:db8::/64", 0x10000) == "2001:db8::1:0");
  CHECK(at("2001:db8::/64", UINT64_MAX) == "2001:db8::ffff:ffff:ffff:ffff");
  CHECK(at("2001:db8::/32", UINT64_MAX) == "2001:db8::ffff:ffff:ffff:ffff");
}

TEST_CASE("a number beyond the block loses its upper bits") {
  CHECK(at("10.0.0.0/16", 65536) == "10.0.0.0");
  CHECK(at("10.0.0.4/30", 7) == "10.0.0.7");
  CHECK(at("10.0.0.1/32", 5) == "10.0.0.1");
  CHECK(at("0.0.0.0/0", 0x1'0000'0002) == "0.0.0.2");
  CHECK(at("2001:db8::/120", 0x1ff) == "2001:db8::ff");
  CHECK(at("::1/128", 1) == "::1");
}

TEST_CASE("a length beyond the address is as its whole") {
  const IpPrefix odd{.address = ip("10.0.0.1"), .length = 99};

  CHECK(odd.first() == ip("10.0.0.1"));
  CHECK_FALSE(odd.contains(ip("10.0.0.0")));
}

TEST_CASE("blocks are equal with their addresses, not their first ones") {
  CHECK(block("10.0.0.1/8") == block("10.0.0.1/8"));
  CHECK(block("10.0.0.1/8") != block("10.0.0.2/8"));
  CHECK(block("10.0.0.0/8") != block("10.0.0.0/9"));
}

TEST_CASE("an Ethernet address is six bytes in hexadecimal") {
  CHECK(MacAddress::parse("02:00:5e:10:00:01").to_string() == "02:00:5e:10:00:01");
  CHECK(MacAddress::parse("AA:bb:0C:dD:Ee:9f").to_string() == "aa:bb:0c:dd:ee:9f");
  CHECK(MacAddress{}.to_string() == "00:00:00:00:00:00");
  CHECK(MacAddress::parse("02:00:00:00:00:01") < MacAddress::parse("02:00:00:00:00:02"));
}

TEST_CASE("what is no Ethernet address is refused") {
  const auto mac = [](std::string_view text) { return MacAddress::parse(text); };

  CHECK_THROWS_WITH_AS(mac("02:00:5e"),
                       "'02:00:5e' is no Ethernet address: one is like 02:00:5e:10:00:01",
                       std::invalid_argument);
  CHECK_THROWS_AS(mac(""), std::invalid_argument);
  CHECK_THROWS_AS(mac("02:00:5e:10:00:0g"), std::invalid_argument);
  CHECK_THROWS_AS(mac("02-00-5e-10-00-01"), std::invalid_argument);
  CHECK_THROWS_AS(mac("02:00:5e:10:00:001"), std::invalid_argument);
  CHECK_THROWS_AS(mac("02:00:5e:10:00:0"), std::invalid_argument);
  CHECK_THROWS_AS(mac("2:0:5e:10:0:1:0:0:0"), std::invalid_argument);
}
