// SPDX-License-Identifier: Apache-2.0
//
// Addresses, blocks, ports to publish and destinations; resolv.conf; what is written in the book of
// addresses. What is accepted is read the same from what it is printed as.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/check.hpp"
#include "launch/network/resolver.hpp"
#include "launch/network/tenant_json.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/network.hpp"

namespace {

using sbx::fuzz::require;
using sbx::fuzz::require_message;

template <typename T>
void read_back(std::string_view text) {
  try {
    const T value = T::parse(text);
    require(T::parse(value.to_string()) == value, "it is read as it is printed", text);
  } catch (const std::invalid_argument& error) {
    require_message(error.what());
  }
}

void read_block(std::string_view text) {
  try {
    const auto block = sbx::IpPrefix::parse(text);
    require(block.length <= block.address.bits(), "a length is in range", text);
    require(block.contains(block.first()) && block.contains(block.at(~std::uint64_t{0})),
            "a block holds its addresses", text);
    require(block.overlaps(block) && block.contains(block), "a block is in itself", text);
  } catch (const std::invalid_argument& error) {
    require_message(error.what());
  }
}

void read_resolver(std::string_view text) {
  const std::size_t half = text.size() / 2;
  const auto found =
      sbx::detail::resolver_from(std::string(text.substr(0, half)), std::string(text.substr(half)));
  const auto again = sbx::detail::resolver_from(found.file, "");
  const bool loopback = std::any_of(found.servers.begin(), found.servers.end(),
                                    [](const auto& server) { return server.is_loopback(); });
  require(loopback || again.servers == found.servers, "a sandbox asks whom the host asks", text);
  require(again.file == found.file, "a resolv.conf stays as it is", text);
}

template <typename Parse>
void read_record(std::string_view text, Parse parse) {
  try {
    const std::string written = to_json(parse(std::string(text)));
    require(to_json(parse(written)) == written, "a record is read as it is written", text);
  } catch (const std::exception&) {
    // Damaged: whoever opens the book says so.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_back<sbx::IpAddress>(text);
  read_back<sbx::IpPrefix>(text);
  read_back<sbx::MacAddress>(text);
  read_back<sbx::PublishedPort>(text);
  read_back<sbx::Destination>(text);
  read_block(text);
  read_resolver(text);
  read_record(text, sbx::detail::tenant_from_json);
  read_record(text, sbx::detail::host_from_json);
  read_record(text, sbx::detail::name_from_json);
  read_record(text, sbx::detail::pools_from_json);
  return 0;
}
