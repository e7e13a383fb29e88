// SPDX-License-Identifier: Apache-2.0
#include "sbx/network.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx {
namespace {

using detail::printable;

[[noreturn]] void refuse_published(std::string_view text) {
  throw std::invalid_argument(
      fmt::format("'{}' is no port to publish: [IP:]HOST:INNER[/udp], an IPv6 address in brackets",
                  printable(std::string(text))));
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = detail::parse_unsigned(text, 65535);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

/// "[INSIDE]REST"; none when it does not begin with a bracket that is closed.
std::optional<std::pair<std::string_view, std::string_view>> in_brackets(std::string_view text) {
  const std::size_t end = text.find(']');
  if (text.empty() || text[0] != '[' || end == std::string_view::npos) return std::nullopt;
  return {{text.substr(1, end - 1), text.substr(end + 1)}};
}

std::string bracketed(const IpAddress& address, const std::string& text) {
  return address.family() == IpFamily::kIpv6 ? "[" + text + "]" : text;
}

}  // namespace

PublishedPort PublishedPort::parse(std::string_view text) {
  PublishedPort port;
  std::string_view rest = text;
  if (rest.ends_with("/udp")) port.protocol = Protocol::kUdp;
  if (rest.ends_with("/udp") || rest.ends_with("/tcp")) rest.remove_suffix(4);
  const auto bracketed_address = in_brackets(rest);
  if (bracketed_address) {
    port.address = IpAddress::parse(bracketed_address->first);
    rest = bracketed_address->second;
    if (rest.empty() || rest[0] != ':') refuse_published(text);
    rest.remove_prefix(1);
  }
  const std::size_t inner = rest.rfind(':');
  if (inner == std::string_view::npos) refuse_published(text);
  std::string_view outer = rest.substr(0, inner);
  if (const std::size_t colon = outer.find(':'); colon != std::string_view::npos) {
    if (bracketed_address) refuse_published(text);
    port.address = IpAddress::parse(outer.substr(0, colon));
    outer.remove_prefix(colon + 1);
  }
  const auto host_port = parse_port(outer);
  const auto inner_port = parse_port(rest.substr(inner + 1));
  if (!host_port || !inner_port) refuse_published(text);
  port.host_port = *host_port;
  port.inner_port = *inner_port;
  return port;
}

std::string PublishedPort::to_string() const {
  const std::string at = address ? bracketed(*address, address->to_string()) + ":" : "";
  const char* const suffix = protocol == Protocol::kUdp ? "/udp" : "";
  return fmt::format("{}{}:{}{}", at, host_port, inner_port, suffix);
}

Destination Destination::parse(std::string_view text) {
  Destination destination;
  std::string_view block = text;
  std::string_view port;
  bool has_port = false;
  if (const auto parts = in_brackets(text)) {
    block = parts->first;
    has_port = !parts->second.empty();
    if (has_port && parts->second[0] != ':') block = text;  // which is no block
    if (has_port) port = parts->second.substr(1);
  } else if (const std::size_t colon = text.find(':');
             colon != std::string_view::npos && text.rfind(':') == colon) {
    block = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  destination.block = IpPrefix::parse(block);
  destination.block.address = destination.block.first();
  if (has_port) {
    destination.port = parse_port(port);
    if (!destination.port) {
      throw std::invalid_argument(fmt::format("'{}' has no port after the colon, from 1 to 65535",
                                              printable(std::string(text))));
    }
  }
  return destination;
}

std::string Destination::to_string() const {
  const std::string text = block.to_string();
  return port ? fmt::format("{}:{}", bracketed(block.address, text), *port) : text;
}

TrafficCount NetworkUsage::total() const noexcept {
  TrafficCount sum;
  for (const TrafficCount* each : {&internet4, &internet6, &published4, &published6}) {
    sum.received.bytes += each->received.bytes;
    sum.received.packets += each->received.packets;
    sum.sent.bytes += each->sent.bytes;
    sum.sent.packets += each->sent.packets;
  }
  return sum;
}

}  // namespace sbx
