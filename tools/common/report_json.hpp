// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sbx/report.hpp"

namespace tools {

/// Bytes and packets on every interface but the loopback.
struct Traffic {
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
};

/// One JSON object and a newline. What was not measured is null.
std::string report_json(const std::string& name, const sbx::Report& report,
                        const std::optional<Traffic>& traffic);

}  // namespace tools
