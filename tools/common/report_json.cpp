// SPDX-License-Identifier: Apache-2.0
#include "common/report_json.hpp"

#include <nlohmann/json.hpp>
#include <optional>

namespace tools {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<std::uint64_t>& number) {
  return number ? Json(*number) : Json(nullptr);
}

Json traffic_json(const std::optional<sbx::TrafficCount>& count) {
  if (!count) {
    return {{"rx_bytes", nullptr},
            {"tx_bytes", nullptr},
            {"rx_packets", nullptr},
            {"tx_packets", nullptr}};
  }
  return {{"rx_bytes", count->received.bytes},
          {"tx_bytes", count->sent.bytes},
          {"rx_packets", count->received.packets},
          {"tx_packets", count->sent.packets}};
}

Json network_json(const sbx::Report& report) {
  if (!report.network) return traffic_json(std::nullopt);
  const sbx::NetworkUsage& usage = *report.network;
  Json json = traffic_json(usage.total());
  json["internet"] = {{"ipv4", traffic_json(usage.internet4)},
                      {"ipv6", traffic_json(usage.internet6)}};
  json["published"] = {{"ipv4", traffic_json(usage.published4)},
                       {"ipv6", traffic_json(usage.published6)}};
  json["forged_packets"] = usage.forged_packets;
  return json;
}

}  // namespace

std::string report_json(const std::string& name, const sbx::Report& report) {
  const Json exit = {{"status", report.status},
                     {"signal", report.signal == 0 ? Json(nullptr) : Json(report.signal)},
                     {"reason", sbx::to_string(report.reason)},
                     {"message", report.message}};
  const Json object = {{"name", name},
                       {"exit", exit},
                       {"wall_us", report.wall.count()},
                       {"cpu_user_us", report.cpu_user.count()},
                       {"cpu_system_us", report.cpu_system.count()},
                       {"memory_peak_bytes", number_or_null(report.memory_peak_bytes)},
                       {"rss_max_bytes", report.rss_max_bytes},
                       {"pids_peak", number_or_null(report.pids_peak)},
                       {"oom_kills", number_or_null(report.oom_kills)},
                       {"io",
                        {{"read_bytes", number_or_null(report.io_read_bytes)},
                         {"write_bytes", number_or_null(report.io_write_bytes)}}},
                       {"network", network_json(report)}};
  // A message may quote bytes that are no UTF-8: they are replaced rather than refused.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tools
