// SPDX-License-Identifier: Apache-2.0
#include "sys/number.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using sbx::detail::parse_decimal;
using sbx::detail::parse_duration;
using sbx::detail::parse_rate;
using sbx::detail::parse_size;
using sbx::detail::parse_unsigned;

TEST_CASE("a number is read up to the largest that 64 bits hold") {
  CHECK(parse_unsigned("0") == 0);
  CHECK(parse_unsigned("1024") == 1024);
  CHECK(parse_unsigned("18446744073709551615") == 18446744073709551615U);
  CHECK_FALSE(parse_unsigned("18446744073709551616"));
}

TEST_CASE("a number above the maximum is refused") {
  CHECK(parse_unsigned("65535", 65535) == 65535);
  CHECK_FALSE(parse_unsigned("65536", 65535));
}

TEST_CASE("a number is digits and nothing else") {
  CHECK_FALSE(parse_unsigned(""));
  CHECK_FALSE(parse_unsigned(" 1"));
  CHECK_FALSE(parse_unsigned("1 "));
  CHECK_FALSE(parse_unsigned("1\n"));
  CHECK_FALSE(parse_unsigned("+1"));
  CHECK_FALSE(parse_unsigned("-1"));
  CHECK_FALSE(parse_unsigned("0x10"));
  CHECK_FALSE(parse_unsigned("1.5"));
  CHECK_FALSE(parse_unsigned("x1"));
}

TEST_CASE("a size takes a letter for a power of 1024") {
  CHECK(parse_size("512") == 512);
  CHECK(parse_size("64K") == 65536);
  CHECK(parse_size("256M") == 268435456);
  CHECK(parse_size("2G") == 2147483648);
  CHECK(parse_size("1T") == 1099511627776);
}

TEST_CASE("a size without digits or with another letter is refused") {
  CHECK_FALSE(parse_size(""));
  CHECK_FALSE(parse_size("K"));
  CHECK_FALSE(parse_size("1k"));
  CHECK_FALSE(parse_size("1KK"));
  CHECK_FALSE(parse_size("1KB"));
  CHECK_FALSE(parse_size("1P"));
  CHECK_FALSE(parse_size("-1K"));
}

TEST_CASE("a size that overflows or exceeds the maximum is refused") {
  CHECK(parse_size("16777215T") == 18446742974197923840U);
  CHECK_FALSE(parse_size("16777216T"));
  CHECK(parse_size("1K", 1024) == 1024);
  CHECK_FALSE(parse_size("1K", 1023));
}

TEST_CASE("a decimal number has at most six digits after its point") {
  CHECK(parse_decimal("2") == 2.0);
  CHECK(parse_decimal("0.5") == 0.5);
  CHECK(parse_decimal("1.000001") == 1.000001);
  CHECK_FALSE(parse_decimal("1.0000001"));
  CHECK_FALSE(parse_decimal(".5"));
  CHECK_FALSE(parse_decimal("5."));
  CHECK_FALSE(parse_decimal("1.5.5"));
  CHECK_FALSE(parse_decimal("-0.5"));
  CHECK_FALSE(parse_decimal("1e3"));
  CHECK_FALSE(parse_decimal("inf"));
  CHECK_FALSE(parse_decimal("nan"));
}

TEST_CASE("a duration has a unit, and is in seconds without one") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("10s") == 10s);
  CHECK(parse_duration("1.5") == 1500ms);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0.0001s") == 1ms);
}

TEST_CASE("a duration with another unit, without a number or of an age is refused") {
  CHECK_FALSE(parse_duration(""));
  CHECK_FALSE(parse_duration("s"));
  CHECK_FALSE(parse_duration("1y"));
  CHECK_FALSE(parse_duration("1 s"));
  CHECK_FALSE(parse_duration("1h30m"));
  CHECK_FALSE(parse_duration("-1s"));
  CHECK_FALSE(parse_duration("999999999999d"));
}

TEST_CASE("a rate is in bits per second and powers of 1000") {
  CHECK(parse_rate("800bit") == 800);
  CHECK(parse_rate("64kbit") == 64'000);
  CHECK(parse_rate("50mbit") == 50'000'000);
  CHECK(parse_rate("10gbit") == 10'000'000'000);
}

TEST_CASE("a rate with another unit, without one or that overflows is refused") {
  CHECK_FALSE(parse_rate(""));
  CHECK_FALSE(parse_rate("mbit"));
  CHECK_FALSE(parse_rate("50"));
  CHECK_FALSE(parse_rate("50Mbit"));
  CHECK_FALSE(parse_rate("1.5mbit"));
  CHECK_FALSE(parse_rate("-1mbit"));
  CHECK_FALSE(parse_rate("18446744074gbit"));
}
