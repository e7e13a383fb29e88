// SPDX-License-Identifier: Apache-2.0
#include "launch/network/host_setup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "kernel/netlink/route_messages.hpp"
#include "launch/network/other_walls.hpp"
#include "launch/network/resolver.hpp"
#include "sbx/link.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kForwarding4 = "/proc/sys/net/ipv4/ip_forward";
constexpr const char* kForwarding6 = "/proc/sys/net/ipv6/conf/all/forwarding";
constexpr const char* kInterfaces4 = "/proc/sys/net/ipv4/conf";
constexpr const char* kInterfaces6 = "/proc/sys/net/ipv6/conf";
constexpr const char* kRedirects4 = "/proc/sys/net/ipv4/conf/all/accept_redirects";

// In IPv4 blocks that hardly any network uses, of 65536 addresses each.
constexpr unsigned kFirstChoice = 213;
constexpr unsigned kLastChoice = 253;
constexpr const char* kOtherChoices[] = {"198.18.0.0/16", "198.19.0.0/16", "172.31.0.0/16",
                                         "192.168.0.0/16"};

// Loopback, link-local, several's and reserved: no host beside others can have such an address.
constexpr const char* kSpecialBlocks[] = {
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"};

/// Empty when it is not there.
std::string read_setting(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return {};
  std::array<char, 64> text{};
  const ssize_t size = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (size < 0) throw_errno("cannot read '{}'", path);
  std::string value(text.data(), static_cast<std::size_t>(size));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

void write_setting(const std::string& path, const std::string& value) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), value.data(), value.size()) < 0) {
    throw_errno("cannot set '{}' to {}", path, value);
  }
}

/// The host's interfaces, of those that have settings in `directory`.
std::vector<std::string> interfaces(const char* directory) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory, none)) {
    const std::string name = entry.path().filename().native();
    if (name != "all" && name != "default") names.push_back(name);
  }
  return names;
}

/// To make the host a router changes the setting of each interface. Those between which it did not
/// pass packets on stay so: build_wall() sees to it. Those where it did are as before in the end:
/// when that is over the kernel leaves them with 0.
void note_forwarding(const char* directory, std::vector<ChangedSetting>& changes,
                     std::vector<std::string>& closed) {
  for (const std::string& name : interfaces(directory)) {
    const std::string path = std::string(directory) + "/" + name + "/forwarding";
    if (read_setting(path) == "0") closed.push_back(name);
    if (read_setting(path) == "1") changes.push_back({path, "1", "0"});
  }
}

/// What has to be changed, and what it was.
std::vector<ChangedSetting> settings_to_change(ClosedLinks& closed) {
  std::vector<ChangedSetting> changes;
  const auto want = [&](const std::string& path, const std::string& now) {
    const std::string before = read_setting(path);
    if (!before.empty() && before != now) changes.push_back({path, before, now});
  };
  if (read_setting(kForwarding4) == "0") {
    note_forwarding(kInterfaces4, changes, closed.ipv4);
    // The kernel sets it to 0 with the next setting, and to 1 with its end, whatever it was.
    if (read_setting(kRedirects4) == "0") changes.push_back({kRedirects4, "0", "1"});
  }
  want(kForwarding4, "1");
  // A router does not listen to other routers any more, unless it is told to: the host would lose
  // its own address and way out.
  if (read_setting(kForwarding6) == "0") {
    note_forwarding(kInterfaces6, changes, closed.ipv6);
    for (const std::string& name : interfaces(kInterfaces6)) {
      const std::string path = std::string(kInterfaces6) + "/" + name + "/accept_ra";
      if (read_setting(path) == "1") want(path, "2");
    }
  }
  want(kForwarding6, "1");
  return changes;
}

bool overlaps_any(const IpPrefix& pool, const std::vector<IpPrefix>& others) {
  return std::any_of(others.begin(), others.end(),
                     [&pool](const IpPrefix& other) { return pool.overlaps(other); });
}

IpPrefix choose_ipv4(const HostNames& names, const std::vector<IpPrefix>& taken) {
  // Two instances begin at different blocks, so that they need not find out about each other.
  constexpr unsigned kChoices = kLastChoice - kFirstChoice + 1;
  const unsigned start = names.table == "sandbox" ? 0 : std::hash<std::string>()(names.table);
  for (unsigned i = 0; i < kChoices; ++i) {
    const unsigned second = kFirstChoice + (start + i) % kChoices;
    const IpPrefix pool = IpPrefix::parse(fmt::format("10.{}.0.0/16", second));
    if (!overlaps_any(pool, taken)) return pool;
  }
  for (const char* choice : kOtherChoices) {
    const IpPrefix pool = IpPrefix::parse(choice);
    if (!overlaps_any(pool, taken)) return pool;
  }
  throw SystemError(EADDRINUSE, "cannot find IPv4 addresses for sandboxes",
                    "the host has routes to all private blocks: name a pool");
}

/// 40 random bits, as RFC 4193 has it.
IpPrefix choose_ipv6() {
  std::array<std::uint8_t, 16> bytes{0xfd};
  if (::getrandom(bytes.data() + 1, 5, 0) != 5) throw_errno("cannot get random bytes");
  return {IpAddress(std::span<const std::uint8_t, 16>(bytes)), 64};
}

void check_pool(const IpPrefix& pool, IpFamily family, unsigned shortest, unsigned longest,
                const std::vector<IpPrefix>& taken) {
  const std::string attempt = fmt::format("cannot give addresses of '{}' away", pool.to_string());
  if (pool.address.family() != family || pool.length < shortest || pool.length > longest) {
    throw SystemError(EINVAL, attempt,
                      fmt::format("a pool is an {} block from /{} to /{}",
                                  family == IpFamily::kIpv4 ? "IPv4" : "IPv6", shortest, longest));
  }
  for (const char* special : kSpecialBlocks) {
    if (!pool.overlaps(IpPrefix::parse(special))) continue;
    throw SystemError(EINVAL, attempt, fmt::format("'{}' is for special purposes", special));
  }
  for (const IpPrefix& other : taken) {
    if (!pool.overlaps(other)) continue;
    throw SystemError(EADDRINUSE, attempt,
                      fmt::format("the host has a route to '{}'", other.to_string()));
  }
}

Pools choose_pools(AddressBook& book, const HostNetwork& host) {
  const std::vector<IpPrefix> taken = Rtnetlink().destinations();
  const auto kept = book.pools();
  Pools pools;
  if (host.ipv4_pool) {
    pools.ipv4 = *host.ipv4_pool;
  } else {
    pools.ipv4 = kept ? kept->ipv4 : choose_ipv4(names_of(host), taken);
  }
  pools.ipv6 = host.ipv6_pool ? *host.ipv6_pool : kept ? kept->ipv6 : choose_ipv6();
  check_pool(pools.ipv4, IpFamily::kIpv4, 8, 24, taken);
  check_pool(pools.ipv6, IpFamily::kIpv6, 48, 112, taken);
  pools.ipv4.address = pools.ipv4.first();
  pools.ipv6.address = pools.ipv6.first();
  if (!kept || !(*kept == pools)) book.write_pools(pools);
  return pools;
}

LinkName loopback(const Conversations& kernel) { return open_link(kernel.links, "lo"); }

/// The host's address for sandboxes: where their packets are sent to, and answers come from.
void add_gateway(const Pools& pools, Conversations& kernel) {
  RouteMessages messages;
  for (const IpPrefix& pool : {pools.ipv4, pools.ipv6}) {
    const IpAddress address = pool.at(kGateway);
    messages.add_address(loopback(kernel), {address, address.bits()}, Existing::kReplaced);
    if (pool.address.family() == IpFamily::kIpv6) messages.excuse_last(kNoIpv6);
  }
  messages.send(kernel.links);
}

void remove_gateway(const Pools& pools, Conversations& kernel) {
  RouteMessages messages;
  for (const IpPrefix& pool : {pools.ipv4, pools.ipv6}) {
    const IpAddress address = pool.at(kGateway);
    messages.remove_address(loopback(kernel), {address, address.bits()});
    // It had not come so far, or has no IPv6.
    messages.excuse_last({EADDRNOTAVAIL, EOPNOTSUPP});
  }
  messages.send(kernel.links);
}

void require_same_pools(const HostNetwork& host, const HostRecord& record) {
  const auto check = [](const std::optional<IpPrefix>& wanted, const IpPrefix& used) {
    if (!wanted || (wanted->first() == used.first() && wanted->length == used.length)) return;
    throw SystemError(EBUSY, fmt::format("cannot give addresses of '{}' away", wanted->to_string()),
                      fmt::format("sandboxes have those of '{}' now", used.to_string()));
  };
  check(host.ipv4_pool, record.pools.ipv4);
  check(host.ipv6_pool, record.pools.ipv6);
}

void update_name_servers(AddressBook& book, const HostNetwork& host, HostRecord& record,
                         Conversations& kernel) {
  const Resolver found = read_resolver();
  if (found.servers == record.name_servers) return;
  record.name_servers = found.servers;
  nft::Batch batch;
  admit_name_servers(batch, {names_of(host), record.pools}, found.servers);
  try {
    kernel.tables.commit(batch);
  } catch (const SystemError& error) {
    if (error.code().value() != ENOENT) throw;
    rebuild_walls(book, host, record, kernel);
  }
  book.write_host(record);
}

/// Who holds a sandbox's namespace, by a socket that he was passed, say, keeps its link: which the
/// walls must not go before.
void remove_links(const HostNames& names) {
  const Rtnetlink links;
  for (const std::string& name : links.names()) {
    if (!name.starts_with(names.prefix)) continue;
    try {
      links.open(name).remove();
    } catch (const SystemError& error) {
      if (error.code().value() != ENODEV) throw;  // it has just gone by itself
    }
  }
}

void restore(const std::vector<ChangedSetting>& settings) {
  for (auto each = settings.rbegin(); each != settings.rend(); ++each) {
    // What somebody else has changed since is his.
    if (read_setting(each->path) == each->now) write_setting(each->path, each->before);
  }
}

}  // namespace

void open_to_loopback(const LinkName& link, NetlinkSocket& links) {
  write_setting(fmt::format("/proc/sys/net/ipv4/conf/{}/route_localnet", link.name), "1");
  RouteMessages messages;
  messages.add_local_route(link, IpAddress::parse("::1"));
  messages.excuse_last(kNoIpv6);
  messages.send(links);
}

bool asks_loopback(const HostRecord& record) {
  return std::ranges::any_of(record.name_servers, &IpAddress::is_loopback);
}

HostRecord set_up_host(AddressBook& book, const HostNetwork& host, Conversations& kernel) {
  auto found = book.host();
  if (found && found->ready) {
    require_same_pools(host, *found);
    update_name_servers(book, host, *found, kernel);
    return *found;
  }
  // Left by somebody who was killed: it would be in its own way.
  if (found) remove_gateway(found->pools, kernel);
  HostRecord record;
  record.pools = choose_pools(book, host);
  record.closed = found ? found->closed : ClosedLinks();
  record.settings = found ? found->settings : settings_to_change(record.closed);
  book.write_host(record);
  const Wall wall{names_of(host), record.pools};
  // First the walls: a router without them would let everybody through.
  nft::Batch batch;
  build_wall(batch, wall);
  keep_closed(batch, wall, record.closed);
  kernel.tables.commit(batch);
  for (const ChangedSetting& each : record.settings) write_setting(each.path, each.now);
  add_gateway(record.pools, kernel);
  record.ready = true;
  book.write_host(record);
  update_name_servers(book, host, record, kernel);
  return record;
}

void look_for_walls(HostRecord& record, const HostNetwork& host, const HostNames& names,
                    const Conversations& kernel) {
  std::vector<std::string> filters = other_filters(kernel.tables, names);
  if (filters == record.tables) return;
  AddressBook book(host);
  auto now = book.host();
  if (!now) return;
  now->tables = std::move(filters);
  now->warnings.clear();
  for (const std::string& other : other_walls(kernel.tables, names, asks_loopback(*now))) {
    now->warnings.push_back(
        fmt::format("{} drops what it does not know: let it accept what comes from and goes to "
                    "interfaces '{}*'",
                    other, names.prefix));
  }
  book.write_host(*now);
  record = std::move(*now);
}

void set_up_bridge(AddressBook& book, const Wall& wall, HostRecord& record, Conversations& kernel) {
  // Somebody may have deleted it: those who were on it have lost their way, but nobody after them.
  const bool is_there = find_link(kernel.links, wall.names.bridge).has_value();
  if (record.bridge && is_there) return;
  if (!record.bridge) {
    nft::Batch batch;
    build_port_wall(batch, wall);
    kernel.tables.commit(batch);
  }
  if (!is_there) {
    RouteMessages messages;
    messages.create_bridge(wall.names.bridge, kHostMac, wall.names.group);
    messages.send(kernel.links);
  }
  const LinkName bridge = open_link(kernel.links, wall.names.bridge);
  RouteMessages messages;
  messages.set_no_link_local(bridge);
  messages.refuse_source_routes(bridge);
  messages.stop_snooping(bridge);
  messages.set_up(bridge);
  messages.send(kernel.links);
  open_to_loopback(bridge, kernel.links);
  record.bridge = true;
  book.write_host(record);
}

void rebuild_walls(AddressBook& book, const HostNetwork& host, const HostRecord& record,
                   Conversations& kernel) {
  const Wall wall{names_of(host), record.pools};
  nft::Batch batch;
  build_wall(batch, wall);
  keep_closed(batch, wall, record.closed);
  if (record.bridge) build_port_wall(batch, wall);
  admit_name_servers(batch, wall, record.name_servers);
  for (const Tenant& tenant : book.tenants()) admit(batch, wall, tenant);
  kernel.tables.commit(batch);
  // What has begun meanwhile would pass as known; and what was counted before is not known any more
  // to whoever ends a sandbox.
  for (const IpPrefix& pool : {record.pools.ipv4, record.pools.ipv6}) {
    kernel.tracking.forget_begun_by(pool);
    kernel.tracking.forget_answered_by(pool);
  }
  // After a restart of the machine all the rest is missing, too.
  for (const ChangedSetting& each : record.settings) write_setting(each.path, each.now);
  add_gateway(record.pools, kernel);
}

void take_down_host(AddressBook& book, const HostNetwork& host, Conversations& kernel) {
  auto record = book.host();
  if (!book.is_empty()) return;
  if (!record) return book.tidy();  // it has not come to that
  // Who is killed here leaves something to be set up again.
  record->ready = record->bridge = false;
  record->name_servers.clear();
  try {
    book.write_host(*record);
  } catch (const SystemError&) {
    // On a full disk there would never be an end: and whoever finds the walls missing sets up
    // again.
  }
  const HostNames names = names_of(host);
  restore(record->settings);
  remove_links(names);
  nft::Batch batch;
  // Added first, so that there is something to remove.
  for (const nft::Table& table : {names.filter(), names.ports()}) batch.add(table).remove(table);
  kernel.tables.commit(batch);
  remove_gateway(record->pools, kernel);
  book.remove_host();
  book.tidy();
}

}  // namespace sbx::detail
