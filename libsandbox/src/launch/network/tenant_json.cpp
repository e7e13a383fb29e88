// SPDX-License-Identifier: Apache-2.0
#include "launch/network/tenant_json.hpp"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace sbx::detail {
namespace {

using Json = nlohmann::ordered_json;

/// Of a number that is whole, not below zero, and no larger than a T: others nlohmann/json would
/// make one of as a cast does.
template <typename T>
T number(const Json& json) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() > kMost) {
    throw std::out_of_range("no such number");
  }
  return static_cast<T>(json.get<std::uint64_t>());
}

template <typename T>
Json texts(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(value.to_string());
  return list;
}

template <typename T>
std::vector<T> parse_texts(const Json& list) {
  std::vector<T> values;
  for (const Json& text : list) values.push_back(T::parse(text.get<std::string>()));
  return values;
}

Json of(const Pools& pools) {
  return {{"ipv4", pools.ipv4.to_string()}, {"ipv6", pools.ipv6.to_string()}};
}

Pools pools_of(const Json& json) {
  return {IpPrefix::parse(json.at("ipv4").get<std::string>()),
          IpPrefix::parse(json.at("ipv6").get<std::string>())};
}

Json of(const TrafficCount& count) {
  return Json::array(
      {count.received.bytes, count.received.packets, count.sent.bytes, count.sent.packets});
}

TrafficCount count_of(const Json& json) {
  return {.received = {number<std::uint64_t>(json.at(0)), number<std::uint64_t>(json.at(1))},
          .sent = {number<std::uint64_t>(json.at(2)), number<std::uint64_t>(json.at(3))}};
}

}  // namespace

std::string to_json(const Tenant& tenant) {
  const Network& network = tenant.network;
  const Network usual;
  Json json = {{"slot", tenant.slot}, {"bridge", tenant.on_bridge()}};
  if (!network.name.empty()) json["name"] = network.name;
  if (network.internet != usual.internet) json["internet"] = network.internet;
  if (!network.allow.empty()) json["allow"] = texts(network.allow);
  if (!network.deny.empty()) json["deny"] = texts(network.deny);
  if (!network.publish.empty()) json["publish"] = texts(network.publish);
  if (network.rate_bits_per_second != 0) json["rate"] = network.rate_bits_per_second;
  if (network.connections_max != usual.connections_max) {
    json["connections"] = network.connections_max;
  }
  if (tenant.released) {
    const Released& alone = *tenant.released;
    json["released"] = {alone.pid, alone.pid_namespace, alone.net_namespace};
  }
  return json.dump();
}

Tenant tenant_from_json(const std::string& text) {
  const Json json = Json::parse(text);
  Tenant tenant{.slot = number<Slot>(json.at("slot")), .network = {}, .released = {}};
  if (const auto released = json.find("released"); released != json.end()) {
    tenant.released = {.pid = number<pid_t>(released->at(0)),
                       .pid_namespace = number<std::uint64_t>(released->at(1)),
                       .net_namespace = number<std::uint64_t>(released->at(2))};
  }
  Network& network = tenant.network;
  const Json none = Json::array();
  network.mode = json.at("bridge").get<bool>() ? Network::Mode::kBridge : Network::Mode::kRouted;
  network.name = json.value("name", "");
  network.internet = json.value("internet", network.internet);
  network.allow = parse_texts<Destination>(json.value("allow", none));
  network.deny = parse_texts<Destination>(json.value("deny", none));
  network.publish = parse_texts<PublishedPort>(json.value("publish", none));
  if (const auto rate = json.find("rate"); rate != json.end()) {
    network.rate_bits_per_second = number<std::uint64_t>(*rate);
  }
  if (const auto most = json.find("connections"); most != json.end()) {
    network.connections_max = number<std::uint32_t>(*most);
  }
  return tenant;
}

std::string to_json(const HostRecord& record) {
  Json settings = Json::array();
  for (const ChangedSetting& each : record.settings) {
    settings.push_back(Json::array({each.path, each.before, each.now}));
  }
  return Json{{"pools", of(record.pools)},
              {"settings", settings},
              {"closed4", record.closed.ipv4},
              {"closed6", record.closed.ipv6},
              {"name_servers", texts(record.name_servers)},
              {"tables", record.tables},
              {"warnings", record.warnings},
              {"ready", record.ready},
              {"bridge", record.bridge}}
      .dump();
}

HostRecord host_from_json(const std::string& text) {
  const Json json = Json::parse(text);
  HostRecord record{.pools = pools_of(json.at("pools")),
                    .settings = {},
                    .closed = {json.at("closed4").get<std::vector<std::string>>(),
                               json.at("closed6").get<std::vector<std::string>>()},
                    .name_servers = parse_texts<IpAddress>(json.at("name_servers")),
                    .tables = json.at("tables").get<std::vector<std::string>>(),
                    .warnings = json.at("warnings").get<std::vector<std::string>>(),
                    .ready = json.at("ready").get<bool>(),
                    .bridge = json.at("bridge").get<bool>()};
  for (const Json& each : json.at("settings")) {
    record.settings.push_back({each.at(0).get<std::string>(), each.at(1).get<std::string>(),
                               each.at(2).get<std::string>()});
  }
  return record;
}

std::string to_json(const NameRecord& record) {
  const NetworkUsage& usage = record.usage;
  return Json{{"slot", record.slot},
              {"internet4", of(usage.internet4)},
              {"internet6", of(usage.internet6)},
              {"published4", of(usage.published4)},
              {"published6", of(usage.published6)},
              {"forged_packets", usage.forged_packets}}
      .dump();
}

NameRecord name_from_json(const std::string& text) {
  const Json json = Json::parse(text);
  return {.slot = number<Slot>(json.at("slot")),
          .usage = {.internet4 = count_of(json.at("internet4")),
                    .internet6 = count_of(json.at("internet6")),
                    .published4 = count_of(json.at("published4")),
                    .published6 = count_of(json.at("published6")),
                    .forged_packets = number<std::uint64_t>(json.at("forged_packets"))}};
}

std::string to_json(const Pools& pools) { return of(pools).dump(); }

Pools pools_from_json(const std::string& text) { return pools_of(Json::parse(text)); }

}  // namespace sbx::detail
