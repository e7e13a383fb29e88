// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/spec.hpp"

// The vassal file: what a host grants to one tenant, as TOML. Keys and their units are in
// vassal.schema.json. What a file does not say is empty here.
namespace sbx::host {

/// The table [sandbox].
struct VassalSandbox {
  std::optional<std::string> user{};            ///< an account of the host; never with `uid`
  std::optional<std::uint32_t> uid{};           ///< not 0
  std::optional<std::string> distro{};          ///< the name of a root, or "host"
  std::optional<std::filesystem::path> home{};  ///< absolute; writable inside, at /home/USER
  std::optional<std::string> hostname{};
  std::optional<std::uint64_t> memory_bytes{};
  std::optional<double> cpus{};               ///< 0.5: half of one processor's time
  std::optional<std::uint32_t> cpu_weight{};  ///< 1 to 10000, 100 being usual
  std::optional<std::chrono::milliseconds> cpu_time_per_day{};  ///< the key cpu_allowance
  std::optional<std::uint64_t> pids{};
  std::optional<std::uint64_t> disk_bytes{};
  std::optional<MemoryMerge> memory_merge{};  ///< the key ksm
  std::vector<std::string> environment{};     ///< "NAME=VALUE" each; the key env
  std::vector<Bind> binds{};                  ///< the key bind
};

/// The table [network].
struct VassalNetwork {
  std::optional<bool> internet{};
  std::optional<std::uint64_t> rate_bits_per_second{};
  std::vector<std::string> publish{};  ///< "[IP:]HOST:INNER[/udp]", as it is written
  std::vector<std::string> allow{};    ///< "CIDR[:PORT]", as it is written
  std::vector<std::string> deny{};     ///< likewise
};

/// A position in a text, both from 1.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct VassalFile {
  std::filesystem::path path{};
  VassalSandbox sandbox{};
  VassalNetwork network{};
  std::map<std::string, Place> places{};  ///< of every key that is set, such as "sandbox.memory"

  /// The tenant's name: the file's, without what follows the last dot.
  [[nodiscard]] std::string tenant() const { return path.stem().native(); }
};

/// Reads the file at `path`, of at most 1 MiB. Throws SystemError when it cannot be read, and
/// std::invalid_argument when it is wrong: one line with file, line, column and key.
[[nodiscard]] SBX_API VassalFile read_vassal_file(const std::filesystem::path& path);

/// The same for the contents of a file; `path` is for messages and for the tenant's name.
[[nodiscard]] SBX_API VassalFile parse_vassal(std::string_view text, std::filesystem::path path);

/// "FILE, line 3, column 1: sandbox.memory": the start of a message about a key that is set.
[[nodiscard]] SBX_API std::string locate(const VassalFile& file, const std::string& key);

/// Lays the table [sandbox] over `spec`: single values replace, lists add. `distros` is the
/// directory of named roots. A uid goes by the tenant's name. Throws std::invalid_argument for a
/// user that the host does not have, or that is root. A tenant who may reach
/// something, or publishes a port, is on the host's network (Network::Mode::kRouted), with the
/// tenant's name. disk_bytes and cpu_time_per_day have no place in a Spec: they are the caller's to
/// enforce or to refuse.
SBX_API void apply(const VassalFile& file, const std::filesystem::path& distros, Spec& spec);

}  // namespace sbx::host
