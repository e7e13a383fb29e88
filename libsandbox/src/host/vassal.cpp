// SPDX-License-Identifier: Apache-2.0
//
// The keys of the vassal file as tables: each with what reads it.
#include "sbx/host/vassal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>

#include "host/names.hpp"
#include "host/nearest.hpp"
#include "host/toml_file.hpp"
#include "host/toml_value.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"

namespace sbx::host {
namespace {

using detail::place_text;
using detail::printable;
using detail::TomlValue;

constexpr std::uint32_t kHighestId = 0xfffffffe;
constexpr std::uint64_t kMostProcesses = 4194304;  // PID_MAX_LIMIT

std::uint64_t size_of(const TomlValue& value) {
  const auto parse = [](const std::string& text) {
    const auto size = detail::parse_size(text);
    return size == 0U ? std::nullopt : size;
  };
  return value.parsed(parse, "a size such as \"64K\", \"256M\" or \"2G\"");
}

std::uint64_t rate_of(const TomlValue& value) {
  const auto parse = [](const std::string& text) {
    const auto rate = detail::parse_rate(text);
    return rate == 0U ? std::nullopt : rate;
  };
  return value.parsed(parse, "a rate such as \"800kbit\", \"50mbit\" or \"1gbit\"");
}

std::chrono::milliseconds allowance_of(const TomlValue& value) {
  const auto parse = [](std::string text) -> std::optional<std::chrono::milliseconds> {
    constexpr std::string_view kPeriod = "/day";
    if (!text.ends_with(kPeriod)) return std::nullopt;
    text.resize(text.size() - kPeriod.size());
    const auto time = detail::parse_duration(text);
    return time && time->count() > 0 ? time : std::nullopt;
  };
  return value.parsed(parse, "a time per day such as \"2h/day\" or \"90m/day\"");
}

std::filesystem::path path_of(const TomlValue& value) {
  const auto parse = [](const std::filesystem::path& path) {
    return path.is_absolute() ? std::optional(path) : std::nullopt;
  };
  return value.parsed(parse, "an absolute path");
}

bool boolean_of(const TomlValue& value) { return value.boolean(); }

double cpus_of(const TomlValue& value) { return value.positive_number(); }

std::uint32_t uid_of(const TomlValue& value) {
  return static_cast<std::uint32_t>(value.whole_number(1, kHighestId));
}

std::uint32_t weight_of(const TomlValue& value) {
  return static_cast<std::uint32_t>(value.whole_number(1, 10000));
}

std::uint64_t pids_of(const TomlValue& value) { return value.whole_number(1, kMostProcesses); }

std::string name_of(const TomlValue& value, bool (*is_name)(std::string_view),
                    std::string_view expected) {
  std::string name = value.text();
  if (!is_name(name)) value.refuse_text(name, expected);
  return name;
}

std::string user_of(const TomlValue& value) {
  return name_of(value, detail::is_user_name, "a name of a user");
}

std::string distro_of(const TomlValue& value) {
  return name_of(value, detail::is_distro_name, "a name of a distro");
}

std::string hostname_of(const TomlValue& value) {
  return name_of(value, detail::is_hostname, "a hostname");
}

MemoryMerge merge_of(const TomlValue& value) {
  constexpr const char* kExpected = "true, false or \"deep\"";
  if (value.is_boolean()) return value.boolean() ? MemoryMerge::kOn : MemoryMerge::kOff;
  const std::string word = value.text(kExpected);
  if (word != "deep") value.refuse_text(word, kExpected);
  return MemoryMerge::kDeep;
}

/// "SRC:DST[:ro]".
std::optional<Bind> parse_bind(const std::string& text) {
  const std::size_t first = text.find(':');
  if (first == std::string::npos) return std::nullopt;
  const std::size_t second = std::min(text.find(':', first + 1), text.size());
  const std::string mode = text.substr(second);
  Bind bind{.source = text.substr(0, first),
            .target = text.substr(first + 1, second - first - 1),
            .read_only = mode == ":ro"};
  const bool good = bind.source.is_absolute() && bind.target.is_absolute();
  return good && (mode.empty() || bind.read_only) ? std::optional(bind) : std::nullopt;
}

std::vector<std::string> texts_of(const TomlValue& value) {
  std::vector<std::string> texts;
  value.each_element([&](const TomlValue& element) { texts.push_back(element.text()); });
  return texts;
}

std::vector<std::string> environment_of(const TomlValue& value) {
  std::vector<std::string> environment;
  value.each_entry([&](const std::string& name, const TomlValue& entry) {
    if (!detail::is_variable_name(name)) entry.refuse(" is no name of a variable");
    environment.push_back(name + "=" + entry.variable());
  });
  return environment;
}

std::vector<Bind> binds_of(const TomlValue& value) {
  constexpr const char* kExpected = "\"SRC:DST\" or \"SRC:DST:ro\" with absolute paths";
  std::vector<Bind> binds;
  value.each_element(
      [&](const TomlValue& element) { binds.push_back(element.parsed(parse_bind, kExpected)); });
  return binds;
}

template <typename Field>
Field& field(VassalFile& file, Field VassalSandbox::*member) {
  return file.sandbox.*member;
}

template <typename Field>
Field& field(VassalFile& file, Field VassalNetwork::*member) {
  return file.network.*member;
}

template <auto kMember, auto kRead>
void set(const TomlValue& value, VassalFile& file) {
  field(file, kMember) = kRead(value);
}

struct Key {
  const char* name;
  void (*read)(const TomlValue& value, VassalFile& file);
};

using S = VassalSandbox;
using N = VassalNetwork;

constexpr Key kSandboxKeys[] = {
    {"user", set<&S::user, user_of>},
    {"uid", set<&S::uid, uid_of>},
    {"distro", set<&S::distro, distro_of>},
    {"home", set<&S::home, path_of>},
    {"hostname", set<&S::hostname, hostname_of>},
    {"memory", set<&S::memory_bytes, size_of>},
    {"cpus", set<&S::cpus, cpus_of>},
    {"cpu_weight", set<&S::cpu_weight, weight_of>},
    {"cpu_allowance", set<&S::cpu_time_per_day, allowance_of>},
    {"pids", set<&S::pids, pids_of>},
    {"disk", set<&S::disk_bytes, size_of>},
    {"ksm", set<&S::memory_merge, merge_of>},
    {"env", set<&S::environment, environment_of>},
    {"bind", set<&S::binds, binds_of>},
};

constexpr Key kNetworkKeys[] = {
    {"internet", set<&N::internet, boolean_of>}, {"rate", set<&N::rate_bits_per_second, rate_of>},
    {"publish", set<&N::publish, texts_of>},     {"allow", set<&N::allow, texts_of>},
    {"deny", set<&N::deny, texts_of>},
};

struct Table {
  const char* name;
  std::span<const Key> keys;  // empty: for others to read
};

constexpr Table kTables[] = {
    {"sandbox", kSandboxKeys},
    {"network", kNetworkKeys},
    {"app", {}},
    {"http", {}},
    {"daemon", {}},
    {"cron", {}},
};

/// The entry of `known` that is called `name`; a name of none is refused.
template <typename Known>
const auto& find(const Known& known, const toml::key& name, const std::string& prefix,
                 const VassalFile& file) {
  const auto found = std::find_if(std::begin(known), std::end(known),
                                  [&](const auto& entry) { return entry.name == name.str(); });
  if (found != std::end(known)) return *found;
  std::vector<std::string> names;
  for (const auto& entry : known) names.emplace_back(entry.name);
  const std::string meant = detail::nearest(name.str(), names);
  throw std::invalid_argument(fmt::format(
      "{}{}{} is not known{}", place_text(file.path.native(), name.source().begin), prefix,
      printable(std::string(name.str())), meant.empty() ? "" : "; did you mean " + meant + "?"));
}

/// toml++ keeps entries by the alphabet; the first fault of a file is to be the one reported.
std::vector<std::pair<toml::key, const toml::node*>> in_file_order(const toml::table& table) {
  std::vector<std::pair<toml::key, const toml::node*>> entries;
  for (const auto& [key, value] : table) entries.emplace_back(key, &value);
  std::sort(entries.begin(), entries.end(), [](const auto& one, const auto& other) {
    return one.first.source().begin < other.first.source().begin;
  });
  return entries;
}

void read_table(const Table& table, const toml::node& node, VassalFile& file) {
  const std::string& path = file.path.native();
  const std::string prefix = fmt::format("{}.", table.name);
  const toml::table* entries = node.as_table();
  if (entries == nullptr) TomlValue(path, table.name, node).refuse_type("a table");
  for (const auto& [name, value] : in_file_order(*entries)) {
    const Key& key = find(table.keys, name, prefix, file);
    const toml::source_position place = name.source().begin;
    file.places[prefix + key.name] = {.line = place.line, .column = place.column};
    key.read(TomlValue(path, prefix + key.name, *value), file);
  }
}

}  // namespace

std::string locate(const VassalFile& file, const std::string& key) {
  const Place& place = file.places.at(key);
  return place_text(file.path.native(), {place.line, place.column}) + key;
}

VassalFile parse_vassal(std::string_view text, std::filesystem::path path) {
  VassalFile file{.path = std::move(path)};
  const toml::table document = detail::parse_toml(text, file.path.native());
  for (const auto& [name, value] : in_file_order(document)) {
    const Table& table = find(kTables, name, "", file);
    if (!table.keys.empty()) read_table(table, *value, file);
  }
  if (file.sandbox.user && file.sandbox.uid) {
    throw std::invalid_argument(locate(file, "sandbox.uid") +
                                " and sandbox.user exclude each other");
  }
  return file;
}

VassalFile read_vassal_file(const std::filesystem::path& path) {
  return parse_vassal(detail::read_text_file(path.native(), "a vassal file"), path);
}

}  // namespace sbx::host
