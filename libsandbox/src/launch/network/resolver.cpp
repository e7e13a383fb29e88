// SPDX-License-Identifier: Apache-2.0
#include "launch/network/resolver.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "launch/network/last_parsed.hpp"
#include "sbx/fd.hpp"

namespace sbx::detail {
namespace {

// What systemd-resolved's stub on 127.0.0.53 asks itself: the stub answers the host alone.
constexpr const char* kUpstream = "/run/systemd/resolve/resolv.conf";
constexpr std::size_t kLargest = std::size_t{64} << 10;

/// Empty when it is not there. By hand, as the next: each start reads these files, and streams take
/// as long for it as the kernel does for a route.
std::string text_of(const char* path) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> bytes;
  while (fd && text.size() < kLargest) {
    const ssize_t size = ::read(fd.get(), bytes.data(), bytes.size());
    if (size <= 0) break;
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return text;
}

/// Cuts the first word, or the first line, off `text`.
std::string_view take(std::string_view& text, std::string_view ends) {
  const std::size_t end = std::min(text.find_first_of(ends), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  return take(line, kBlanks);
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

Settings parse_settings(std::string_view text) {
  Settings settings;
  while (!text.empty()) {
    const std::string_view line = take(text, "\n");
    std::string_view rest = line;
    const std::string_view word = take_word(rest);
    if (word.empty() || word[0] == '#' || word[0] == ';') continue;
    if (word != "nameserver") {
      settings.others.append(line).append("\n");
    } else if (const auto address = parse(std::string(take_word(rest)))) {
      settings.servers.push_back(*address);
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

Resolver read_resolver() {
  static auto& last = *new LastParsed<Resolver>;
  const std::string conf = text_of("/etc/resolv.conf");
  const std::string upstream = text_of(kUpstream);
  return last.get(conf + '\0' + upstream,
                  [&](const std::string&) { return resolver_from(conf, upstream); });
}

}  // namespace sbx::detail
