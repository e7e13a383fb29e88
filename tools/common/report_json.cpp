// SPDX-License-Identifier: Apache-2.0
#include "common/report_json.hpp"

#include <nlohmann/json.hpp>

namespace tools {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<std::uint64_t>& number) {
  return number ? Json(*number) : Json(nullptr);
}

}  // namespace

std::string report_json(const std::string& name, const sbx::Report& report,
                        const std::optional<Traffic>& traffic) {
  const Json exit = {{"status", report.status},
                     {"signal", report.signal == 0 ? Json(nullptr) : Json(report.signal)},
                     {"reason", sbx::to_string(report.reason)},
                     {"message", report.message}};
  Json network = {{"rx_bytes", nullptr},
                  {"tx_bytes", nullptr},
                  {"rx_packets", nullptr},
                  {"tx_packets", nullptr}};
  if (traffic) {
    network = {{"rx_bytes", traffic->rx_bytes},
               {"tx_bytes", traffic->tx_bytes},
               {"rx_packets", traffic->rx_packets},
               {"tx_packets", traffic->tx_packets}};
  }
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
                       {"network", network}};
  // A message may quote bytes that are no UTF-8: they are replaced rather than refused.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tools
