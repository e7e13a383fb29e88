// SPDX-License-Identifier: Apache-2.0
//
// The report: one line of JSON, and what went in comes out of it, whatever the texts are.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "common/report_json.hpp"
#include "fuzz/check.hpp"

namespace {

using Json = nlohmann::json;
using sbx::fuzz::require;

std::optional<std::uint64_t> number_from(FuzzedDataProvider& input) {
  if (!input.ConsumeBool()) return std::nullopt;
  return input.ConsumeIntegral<std::uint64_t>();
}

sbx::Report report_from(FuzzedDataProvider& input) {
  sbx::Report report;
  report.reason = input.PickValueInArray({sbx::ExitReason::kExited, sbx::ExitReason::kSignal,
                                          sbx::ExitReason::kTimeout, sbx::ExitReason::kCpuTime,
                                          sbx::ExitReason::kMemory, sbx::ExitReason::kSetup});
  report.status = input.ConsumeIntegral<int>();
  report.signal = input.ConsumeIntegral<int>();
  report.wall = std::chrono::microseconds(input.ConsumeIntegral<std::int64_t>());
  report.cpu_user = std::chrono::microseconds(input.ConsumeIntegral<std::int64_t>());
  report.cpu_system = std::chrono::microseconds(input.ConsumeIntegral<std::int64_t>());
  report.rss_max_bytes = input.ConsumeIntegral<std::uint64_t>();
  report.memory_peak_bytes = number_from(input);
  report.pids_peak = number_from(input);
  report.oom_kills = number_from(input);
  report.io_read_bytes = number_from(input);
  report.io_write_bytes = number_from(input);
  return report;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = sbx::fuzz::character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

/// The text as it was, or the replacement for what JSON cannot say.
void require_text(const Json& value, const std::string& text) {
  const auto& said = value.get_ref<const std::string&>();
  require(is_utf8(said), "a text of the report is UTF-8", said);
  if (is_utf8(text)) {
    require(said == text, "a text comes out as it went in", text);
  } else {
    require(said.find("\xef\xbf\xbd") != std::string::npos, "what is no text is replaced", said);
  }
}

void require_number(const Json& value, const std::optional<std::uint64_t>& number) {
  if (number) {
    require(value.is_number_unsigned() && value.get<std::uint64_t>() == *number,
            "a number comes out as it went in");
  } else {
    require(value.is_null(), "what was not measured is null");
  }
}

void require_report(const Json& object, const sbx::Report& report) {
  const Json& exit = object.at("exit");
  require_text(exit.at("message"), report.message);
  require(exit.at("status") == report.status, "the status comes out as it went in");
  require(report.signal == 0 ? exit.at("signal").is_null() : exit.at("signal") == report.signal,
          "the signal comes out as it went in");
  require(exit.at("reason") == sbx::to_string(report.reason), "the reason is its word");
  require(object.at("wall_us") == report.wall.count(), "the time comes out as it went in");
  require(object.at("cpu_user_us") == report.cpu_user.count(), "the time comes out as it went in");
  require_number(object.at("memory_peak_bytes"), report.memory_peak_bytes);
  require_number(object.at("pids_peak"), report.pids_peak);
  require_number(object.at("oom_kills"), report.oom_kills);
  require_number(object.at("io").at("read_bytes"), report.io_read_bytes);
  require_number(object.at("io").at("write_bytes"), report.io_write_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  sbx::Report report = report_from(input);
  if (input.ConsumeBool()) {
    report.network.emplace();
    report.network->internet6.received.bytes = input.ConsumeIntegral<std::uint64_t>();
    report.network->published4.received.bytes = input.ConsumeIntegral<std::uint32_t>();
  }
  const std::string name = input.ConsumeRandomLengthString();
  report.message = input.ConsumeRemainingBytesAsString();

  const std::string line = tools::report_json(name, report);

  require(line.ends_with('\n') && std::count(line.begin(), line.end(), '\n') == 1,
          "a report is one line", line);
  const Json object = Json::parse(line, nullptr, false);
  require(object.is_object(), "a report is a JSON object", line);
  require_text(object.at("name"), name);
  require_report(object, report);
  const Json& received = object.at("network").at("rx_bytes");
  require(report.network ? received == report.network->total().received.bytes : received.is_null(),
          "traffic comes out as it went in");
  return 0;
}
