// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/config.hpp"

#include <stdexcept>
#include <string>

#include "common/names.hpp"
#include "sbx/host/vassal.hpp"

namespace sbx_run {
namespace {

using sbx::host::VassalFile;

/// What a file may ask for and this version has no means for. Limits that a Spec has a field for
/// are Sandbox::start's to refuse.
struct Unenforced {
  const char* key;
  bool (*is_asked)(const VassalFile& file);
};

constexpr Unenforced kUnenforced[] = {
    {"sandbox.cpu_allowance",
     [](const VassalFile& file) { return file.sandbox.cpu_time_per_day.has_value(); }},
    {"sandbox.disk", [](const VassalFile& file) { return file.sandbox.disk_bytes.has_value(); }},
};

}  // namespace

void apply_config(const Arguments& arguments, Options& options) {
  if (arguments.config.empty()) return;
  const VassalFile file = sbx::host::read_vassal_file(arguments.config);
  for (const Unenforced& setting : kUnenforced) {
    if (!setting.is_asked(file)) continue;
    throw std::invalid_argument(sbx::host::locate(file, setting.key) +
                                " is not enforced by this version");
  }
  sbx::host::apply(file, tools::state_directory(arguments.state_dir) / "distros", options.spec);
}

}  // namespace sbx_run
