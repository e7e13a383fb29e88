// SPDX-License-Identifier: Apache-2.0
#include "launch/network/resolver.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace sbx::detail {
namespace {

// What systemd-resolved's stub on 127.0.0.53 asks itself: the stub answers the host alone.
constexpr const char* kUpstream = "/run/systemd/resolve/resolv.conf";
constexpr std::size_t kLargest = std::size_t{64} << 10;

std::string text_of(const char* path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  text.resize(std::min(text.size(), kLargest));
  return text;
}

std::optional<IpAddress> parse(const std::string& text) {
  try {
    return IpAddress::parse(text);
  } catch (const std::invalid_argument&) {
    return std::nullopt;  // with the scope of a link, which the sandbox has no part in, say
  }
}

/// A resolv.conf(5): its servers, and the lines about anything else.
struct Settings {
  std::vector<IpAddress> servers;
  std::string others;
};

Settings parse_settings(const std::string& text) {
  Settings settings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word[0] == '#' || word[0] == ';') continue;
    if (word != "nameserver") {
      settings.others += line + "\n";
    } else if (words >> word) {
      if (const auto address = parse(word)) settings.servers.push_back(*address);
    }
  }
  return settings;
}

std::vector<IpAddress> remote(const std::vector<IpAddress>& servers) {
  std::vector<IpAddress> kept;
  std::copy_if(servers.begin(), servers.end(), std::back_inserter(kept),
               [](const IpAddress& address) { return !address.is_loopback(); });
  return kept;
}

}  // namespace

IpAddress resolver_address() { return IpAddress::parse("169.254.1.53"); }

Resolver resolver_from(const std::string& resolv_conf, const std::string& upstream) {
  const Settings settings = parse_settings(resolv_conf);
  Resolver found{.servers = remote(settings.servers), .file = settings.others};
  if (found.servers.empty()) found.servers = remote(parse_settings(upstream).servers);
  if (found.servers.empty()) {
    for (const IpAddress& address : settings.servers) {
      if (address.family() == IpFamily::kIpv4 && found.servers.empty()) {
        found.servers = {address};
      }
    }
  }
  for (const IpAddress& address : found.servers) {
    const IpAddress asked = address.is_loopback() ? resolver_address() : address;
    found.file += "nameserver " + asked.to_string() + "\n";
  }
  return found;
}

Resolver read_resolver() { return resolver_from(text_of("/etc/resolv.conf"), text_of(kUpstream)); }

}  // namespace sbx::detail
