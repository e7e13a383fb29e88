// SPDX-License-Identifier: Apache-2.0
//
// A tenant's file, which the tenant may have written. What is accepted is in its range, and is read
// the same from what it is printed as; laid over a Spec it makes nobody root.
#include "sbx/host/vassal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "fuzz/check.hpp"

namespace {

using sbx::fuzz::require;
using sbx::host::VassalFile;
using sbx::host::VassalNetwork;
using sbx::host::VassalSandbox;

constexpr const char* kPath = "/etc/sandbox/vassals/alice.toml";

std::string toml_text(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      shown += fmt::format("\\{}", c);
    } else if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\u{:04x}", byte);
    } else {
      shown += c;
    }
  }
  return shown + '"';
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string shown;
  for (const std::string& text : texts) shown += (shown.empty() ? "" : ", ") + toml_text(text);
  return "[" + shown + "]";
}

std::string bind_list(const std::vector<sbx::Bind>& binds) {
  std::vector<std::string> texts;
  for (const sbx::Bind& bind : binds) {
    texts.push_back(bind.source.native() + ":" + bind.target.native() +
                    (bind.read_only ? ":ro" : ""));
  }
  return list_of(texts);
}

std::string variable_table(const std::vector<std::string>& environment) {
  std::string shown;
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    shown +=
        fmt::format("{}{} = {}", shown.empty() ? "" : ", ", toml_text(variable.substr(0, equals)),
                    toml_text(variable.substr(equals + 1)));
  }
  return "{" + shown + "}";
}

std::string bytes_of(std::uint64_t bytes) { return fmt::format("\"{}\"", bytes); }

const char* merge_word(sbx::MemoryMerge merge) {
  if (merge == sbx::MemoryMerge::kDeep) return "\"deep\"";
  return merge == sbx::MemoryMerge::kOn ? "true" : "false";
}

std::string printed(const VassalFile& file) {
  const VassalSandbox& box = file.sandbox;
  const VassalNetwork& net = file.network;
  std::string text = "[sandbox]\n";
  const auto line = [&](const char* key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (box.user) line("user", toml_text(*box.user));
  if (box.uid) line("uid", std::to_string(*box.uid));
  if (box.distro) line("distro", toml_text(*box.distro));
  if (box.home) line("home", toml_text(box.home->native()));
  if (box.hostname) line("hostname", toml_text(*box.hostname));
  if (box.memory_bytes) line("memory", bytes_of(*box.memory_bytes));
  if (box.cpus) line("cpus", fmt::format("{:.20e}", *box.cpus));
  if (box.cpu_weight) line("cpu_weight", std::to_string(*box.cpu_weight));
  if (box.cpu_time_per_day) {
    const auto seconds = box.cpu_time_per_day->count() / 1000;
    line("cpu_allowance",
         fmt::format("\"{}.{:03}s/day\"", seconds, box.cpu_time_per_day->count() % 1000));
  }
  if (box.pids) line("pids", std::to_string(*box.pids));
  if (box.disk_bytes) line("disk", bytes_of(*box.disk_bytes));
  if (box.memory_merge) line("ksm", merge_word(*box.memory_merge));
  line("env", variable_table(box.environment));
  line("bind", bind_list(box.binds));
  text += "[network]\n";
  if (net.internet) line("internet", *net.internet ? "true" : "false");
  if (net.rate_bits_per_second) line("rate", fmt::format("\"{}bit\"", *net.rate_bits_per_second));
  line("publish", list_of(net.publish));
  line("allow", list_of(net.allow));
  line("deny", list_of(net.deny));
  return text;
}

void require_ranges(const VassalSandbox& box, const VassalNetwork& net) {
  require(!box.uid || (*box.uid > 0 && *box.uid < 0xffffffff), "a uid is a user's, not root's");
  require(!box.user || !box.uid, "a file has one user");
  require(!box.memory_bytes || *box.memory_bytes > 0, "a size is more than 0");
  require(!box.disk_bytes || *box.disk_bytes > 0, "a size is more than 0");
  require(!box.cpus || (*box.cpus > 0 && *box.cpus <= 1e6), "cpus are in range");
  require(!box.cpu_weight || (*box.cpu_weight >= 1 && *box.cpu_weight <= 10000),
          "a weight is in range");
  require(!box.pids || (*box.pids >= 1 && *box.pids <= 4194304), "pids are in range");
  require(!box.cpu_time_per_day || box.cpu_time_per_day->count() > 0, "time is more than 0");
  require(!net.rate_bits_per_second || *net.rate_bits_per_second > 0, "a rate is more than 0");
  require(!box.home || box.home->is_absolute(), "a home is absolute");
  for (const std::string* name :
       {box.distro ? &*box.distro : nullptr, box.hostname ? &*box.hostname : nullptr,
        box.user ? &*box.user : nullptr}) {
    require(name == nullptr || (name->find('/') == std::string::npos && *name != ".." &&
                                !name->empty() && name->size() <= 64),
            "a name is no path");
  }
  for (const sbx::Bind& bind : box.binds) {
    require(bind.source.is_absolute() && bind.target.is_absolute(), "a bind is absolute");
  }
  for (const std::string& variable : box.environment) {
    require(variable.find('=') != 0 && variable.find('=') != std::string::npos &&
                variable.find('\0') == std::string::npos,
            "a variable has a name and a value");
  }
}

bool same(const VassalFile& a, const VassalFile& b) {
  const VassalSandbox& one = a.sandbox;
  const VassalSandbox& other = b.sandbox;
  return one.user == other.user && one.uid == other.uid && one.distro == other.distro &&
         one.home == other.home && one.hostname == other.hostname &&
         one.memory_bytes == other.memory_bytes && one.cpus == other.cpus &&
         one.cpu_weight == other.cpu_weight && one.cpu_time_per_day == other.cpu_time_per_day &&
         one.pids == other.pids && one.disk_bytes == other.disk_bytes &&
         one.memory_merge == other.memory_merge && one.environment == other.environment &&
         bind_list(one.binds) == bind_list(other.binds) &&
         a.network.internet == b.network.internet &&
         a.network.rate_bits_per_second == b.network.rate_bits_per_second &&
         a.network.publish == b.network.publish && a.network.allow == b.network.allow &&
         a.network.deny == b.network.deny;
}

void require_places(const VassalFile& file, std::string_view text) {
  const auto lines = static_cast<std::uint32_t>(1 + std::count(text.begin(), text.end(), '\n'));
  for (const auto& [key, place] : file.places) {
    require(place.line >= 1 && place.line <= lines && place.column >= 1 &&
                place.column <= text.size() + 1,
            "a key has a place in the file", key);
    sbx::fuzz::require_message(sbx::host::locate(file, key));
  }
}

void lay_over_spec(const VassalFile& file) {
  sbx::Spec spec;
  sbx::host::apply(file, "/var/lib/sandbox/distros", spec);
  require(!spec.user || spec.user->uid != 0 || (!file.sandbox.uid && !file.sandbox.user),
          "a tenant is not root");
  require(!file.sandbox.home || spec.command.workdir == spec.user->home, "work begins at home");
  const auto inside = spec.root.directory.lexically_normal().native();
  require(inside.empty() || inside.starts_with("/var/lib/sandbox/distros/"),
          "a root is one of the distros", inside);
}

/// "FILE, line 3, column 1: " comes first, with numbers of at least 1.
void require_placed_message(const std::string& message) {
  sbx::fuzz::require_message(message);
  unsigned line = 0;
  unsigned column = 0;
  const std::string rest = message.substr(std::min(message.size(), std::strlen(kPath)));
  require(message.starts_with(kPath) &&
              std::sscanf(rest.c_str(), ", line %u, column %u: ", &line, &column) == 2 &&
              line >= 1 && column >= 1,
          "a fault has a place", message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const VassalFile file = sbx::host::parse_vassal(text, kPath);
    require_ranges(file.sandbox, file.network);
    require_places(file, text);
    const std::string again = printed(file);
    try {
      require(same(file, sbx::host::parse_vassal(again, kPath)), "a file is read as it is printed",
              again);
    } catch (const std::invalid_argument& error) {
      require(false, error.what(), again);
    }
    lay_over_spec(file);
  } catch (const std::invalid_argument& error) {
    require_placed_message(error.what());
  }
  return 0;
}
