// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/config.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "sbx/host/vassal.hpp"

namespace sbx_run {
namespace {

using sbx::host::VassalFile;

/// What a file may ask for and this version has no means for. Limits that a Spec has a field for
/// are Sandbox::start's to refuse.
struct Unenforced {
  const char* key;
  bool (*is_asked)(const VassalFile& file, const Arguments& arguments);
};

constexpr Unenforced kUnenforced[] = {
    {"sandbox.cpu_allowance",
     [](const VassalFile& file, const Arguments&) {
       return file.sandbox.cpu_time_per_day.has_value();
     }},
    {"sandbox.disk",
     [](const VassalFile& file, const Arguments&) { return file.sandbox.disk_bytes.has_value(); }},
    {"network.internet",
     [](const VassalFile& file, const Arguments& arguments) {
       return file.network.internet.value_or(false) && arguments.network.empty();
     }},
    {"network.rate",
     [](const VassalFile& file, const Arguments&) {
       return file.network.rate_bits_per_second.has_value();
     }},
    {"network.publish",
     [](const VassalFile& file, const Arguments&) { return !file.network.publish.empty(); }},
    {"network.allow",
     [](const VassalFile& file, const Arguments&) { return !file.network.allow.empty(); }},
    {"network.deny",
     [](const VassalFile& file, const Arguments&) { return !file.network.deny.empty(); }},
};

std::filesystem::path state_directory() {
  const char* configured = std::getenv("SBX_STATE_DIR");
  if (configured == nullptr || *configured == '\0') return "/var/lib/sandbox";
  return std::filesystem::absolute(configured);
}

}  // namespace

void apply_config(const Arguments& arguments, Options& options) {
  if (arguments.config.empty()) return;
  const VassalFile file = sbx::host::read_vassal_file(arguments.config);
  for (const Unenforced& setting : kUnenforced) {
    if (!setting.is_asked(file, arguments)) continue;
    throw std::invalid_argument(sbx::host::locate(file, setting.key) +
                                " is not enforced by this version");
  }
  sbx::host::apply(file, state_directory() / "distros", options.spec);
}

}  // namespace sbx_run
