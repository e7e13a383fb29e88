// SPDX-License-Identifier: Apache-2.0
//
// The ways to start a sandbox that are exposed to faults, and what a run of one may end like.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sbx/sandbox.hpp"
#include "support/inject.hpp"
#include "support/temp_dir.hpp"

namespace faults {

/// Directories that scenarios use. Everything that a start makes under a name is made in here.
class Ground {
 public:
  Ground();

  [[nodiscard]] std::filesystem::path path() const { return dir_.path(); }
  [[nodiscard]] std::filesystem::path run_directory() const { return dir_.path() / "run"; }

  /// What stands in the run directory and in what is bound: nothing, between two runs.
  [[nodiscard]] std::vector<std::string> left() const;

 private:
  sbx::test::TempDir dir_;
};

enum class Caller { kLibrary, kTool };

struct Scenario {
  std::string name{};
  Caller caller = Caller::kLibrary;
  sbx::test::Start start{};

  [[nodiscard]] sbx::test::Counted counted() const {
    return caller == Caller::kLibrary ? sbx::test::Counted::kMarks
                                      : sbx::test::Counted::kFromDevNull;
  }
};

/// The driver's scenario `name`, with more arguments.
Scenario library(const std::string& name, const Ground& ground,
                 const std::vector<std::string>& more = {});

/// sbx-run with `flags`, that runs the probe.
Scenario tool(const std::string& name, const Ground& ground, std::vector<std::string> flags);

/// The probe with its arguments, as sbx-run's command.
std::vector<std::string> probe_words();

/// The probe's flags for sbx-run: show it inside.
std::vector<std::string> probe_flags();

/// Whether `ended` is one clean error: the status for it, and one line that names step, object and
/// reason. Empty, or what is wrong with it.
std::string fault_of_error(Caller caller, const sbx::test::Ended& ended);

/// The lines that only one of two texts has, with "- " or "+ " in front.
std::vector<std::string> difference(const std::string& before, const std::string& after);

/// The words, with "; " between.
std::string joined(const std::vector<std::string>& words);

/// A sandbox by this process, with the probe in it, that `--enter NAME` finds and that does
/// nothing.
sbx::Sandbox start_named(const Ground& ground, const std::string& name);

/// How many processes run in it, its init not counted, once that number does not change any more.
int processes_in(const sbx::Sandbox& sandbox);

/// Whether every place is to be tested, and not a sample: SBX_TEST_ALL is set.
bool test_all();

}  // namespace faults
