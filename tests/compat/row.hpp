// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sbx::compat {

/// What the inside is held against, besides the row's own expectations.
enum class Against { kOutside, kNothing };

enum class Caller { kAnyone, kRoot, kOrdinary };

/// One everyday job, run by sbx-run with its defaults and by the host itself, as an ordinary user.
/// Both have to end with `status` and to write `says`, and the same to standard output.
struct Row {
  const char* name;  ///< a sentence

  /// Programs in PATH, or paths, without which the row is skipped.
  std::vector<std::string> needs{};
  /// The flags of sbx-run that the job cannot do without.
  std::vector<std::string> flags{};
  std::string script{};                ///< for `sh -eu`, in an empty home, or an empty work folder
  std::vector<std::string> command{};  ///< in place of the script
  std::string input{};                 ///< on standard input, or typed on the terminal
  std::string cue{};                   ///< what it says before it wants to be told
  std::size_t input_bytes = 0;         ///< as many of no regular kind on standard input

  /// All of standard output, or the end of what appears on the terminal; empty: whatever is said
  /// outside.
  std::string says{};
  int status = 0;
  Against against = Against::kOutside;
  /// Words of the lines in which the inside may differ, for a reason that docs/compatibility.md
  /// gives; and of those in which it may when an ordinary user calls.
  std::vector<std::string> differs{};
  std::vector<std::string> differs_for_one_id{};

  bool work = false;      ///< starts in a folder of the host's that is shown by --bind
  bool many_ids = false;  ///< wants --user root with more ids than one
  bool terminal = false;  ///< on a terminal, with --tty
  Caller caller = Caller::kAnyone;
  std::chrono::seconds deadline{120};
};

/// Makes each of `rows` a test case of the suite `theme`. The rows have to live as long as the
/// program.
class Theme {
 public:
  Theme(const char* theme, std::span<const Row> rows);
};

}  // namespace sbx::compat
