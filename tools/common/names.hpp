// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/last_will.hpp"
#include "sbx/fd.hpp"

namespace tools {

/// The directory of sockets and state: `given` (--run-dir), or else SBX_RUN_DIR, or else
/// /run/sandbox for root and $XDG_RUNTIME_DIR/sandbox for others. Throws std::invalid_argument when
/// there is none.
std::filesystem::path run_directory(const std::string& given);

/// The same for networks of the host's, which root alone makes: /run/sandbox for others, too.
std::filesystem::path network_directory(const std::string& given);

/// The directory of what must survive a reboot: `given` (--state-dir), or else SBX_STATE_DIR, or
/// else /var/lib/sandbox.
std::filesystem::path state_directory(const std::string& given);

/// Throws std::invalid_argument unless `name` may be a sandbox's: a letter or digit, then at most
/// 63 of these, '.', '_' and '-'.
void require_name(const std::string& name);

/// The place of one running, named sandbox: a folder that only the caller may enter, with the
/// socket of its init. Taken by a process, and swept by another one when that ends, however it
/// ends.
class Claim {
 public:
  /// Takes the name. A folder whose sandbox is gone is removed first. Throws SystemError: EEXIST
  /// when a sandbox of that name runs.
  Claim(const std::filesystem::path& run_directory, const std::string& name);
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  Claim(Claim&&) = delete;
  Claim& operator=(Claim&&) = delete;
  ~Claim() = default;

  [[nodiscard]] std::filesystem::path socket() const { return folder_ / "init.sock"; }

 private:
  void take(const std::string& name);

  std::filesystem::path folder_;
  std::optional<LastWill> sweeper_;
  sbx::UniqueFd held_;  // the folder, locked; let go before the sweeper looks at it
};

/// The socket of the running sandbox `name`.
std::filesystem::path socket_of(const std::filesystem::path& run_directory,
                                const std::string& name);

}  // namespace tools
