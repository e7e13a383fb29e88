// SPDX-License-Identifier: Apache-2.0
//
// What a start costs, beside a floor of raw system calls and beside other programs, and what it
// leaves in memory. tests/bench/run builds it, installs the others and passes its arguments on.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/callers.hpp"
#include "bench/library.hpp"
#include "bench/machine.hpp"
#include "bench/neighbours.hpp"
#include "bench/network.hpp"
#include "bench/processes.hpp"
#include "bench/report.hpp"

namespace {

using namespace sbx::bench;

constexpr const char* kUsage =
    "usage: tests/bench/run [--quick|--smoke] [--rounds N] [--only NAME] [--check]\n"
    "                       [--allow FACTOR] [--markdown FILE]\n"
    "\n"
    "  --quick           fewer rounds and starts: a minute or two, and coarser figures\n"
    "  --smoke           one round: whether it works, and no figures to believe\n"
    "  --rounds N        how often each row is measured (200)\n"
    "  --only NAME       library, processes, callers, memory, neighbours or network\n"
    "  --check           exit with 1 when a bar is missed\n"
    "  --allow FACTOR    allow so many times what the bars say (1)\n"
    "  --markdown FILE   write the tables to FILE; after its line '<!-- tables: -->', if it has "
    "one\n";
constexpr const char* kMark = "<!-- tables: -->";

const std::string kParts[] = {"library", "processes", "callers", "memory", "neighbours", "network"};

struct Options {
  Scale scale;
  std::string only;
  std::string markdown;
  std::string command = "tests/bench/run";
  bool check = false;
  double allow = 1;
};

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double number(const std::string& word, double least) {
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (end == word.c_str() || *end != '\0' || !(value >= least && value <= 1e6))
    throw UsageError("'" + word + "' is no number from " + fmt::format("{}", least) + " on");
  return value;
}

/// The words of a command line, one after the other.
class Words {
 public:
  Words(int argc, char** argv) : words_(argv + 1, argv + argc) {}

  [[nodiscard]] bool empty() const { return next_ == words_.size(); }
  std::string next() { return words_.at(next_++); }
  std::string value_of(const std::string& option) {
    if (empty()) throw UsageError("'" + option + "' needs a value");
    return next();
  }
  [[nodiscard]] std::string all() const { return fmt::format("{}", fmt::join(words_, " ")); }

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

Options parse(Words words) {
  Options options;
  options.command += " " + words.all();
  int rounds = 0;
  while (!words.empty()) {
    const std::string word = words.next();
    if (word == "--quick") {
      options.scale = Scale::quick();
    } else if (word == "--smoke") {
      options.scale = Scale::smoke();
    } else if (word == "--rounds") {
      rounds = static_cast<int>(number(words.value_of(word), 1));
    } else if (word == "--only") {
      options.only = words.value_of(word);
    } else if (word == "--check") {
      options.check = true;
    } else if (word == "--allow") {
      options.allow = number(words.value_of(word), 0);
    } else if (word == "--markdown") {
      options.markdown = words.value_of(word);
    } else {
      throw UsageError("'" + word + "' is no option");
    }
  }
  if (rounds > 0) options.scale.rounds = rounds;
  const bool known =
      std::find(std::begin(kParts), std::end(kParts), options.only) != std::end(kParts);
  if (!options.only.empty() && !known) throw UsageError("'" + options.only + "' is no part");
  return options;
}

/// Prints what is found as it is found, and keeps it.
class Findings {
 public:
  void add(const Grid& grid) {
    fmt::print("{}", as_text(grid));
    std::fflush(stdout);
    markdown_ += as_markdown(grid);
  }
  void add(const Section& section, double allow) {
    for (const Grid& grid : section.grids) add(grid);
    for (Bar bar : section.bars) {
      bar.allowed *= allow;
      bars_.push_back(std::move(bar));
    }
  }
  [[nodiscard]] const std::vector<Bar>& bars() const { return bars_; }
  [[nodiscard]] const std::string& markdown() const { return markdown_; }

 private:
  std::string markdown_;
  std::vector<Bar> bars_;
};

/// Says each bar that is missed; their number.
int count_missed(const std::vector<Bar>& bars) {
  int missed = 0;
  for (const Bar& bar : bars) {
    if (bar.held()) continue;
    ++missed;
    fmt::print(stderr, "bench: missed: {}: {:.2f} {}, allowed: {}{:.2f}\n", bar.name, bar.measured,
               bar.unit, bar.may_equal ? "" : "below ", bar.allowed);
  }
  return missed;
}

int run(const Options& options) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string floor = here / "floor";
  const std::string sbx_run = here.parent_path().parent_path() / "tools/sbx-run/sbx-run";
  const struct {
    const char* name;
    std::function<Section()> measure;
  } parts[] = {
      {"library", compare_with_floor},
      {"library", [&] { return measure_library(options.scale); }},
      {"processes", [&] { return measure_processes(options.scale, sbx_run, floor); }},
      {"callers", [&] { return measure_callers(options.scale); }},
      {"memory", [&] { return measure_memory(options.scale); }},
      {"neighbours", [&] { return measure_neighbours(options.scale); }},
      {"network", [&] { return measure_network(options.scale); }},
      {"network", [&] { return measure_traffic(options.scale); }},
  };
  Findings findings;
  findings.add(machine(options.command));
  for (const auto& part : parts) {
    if (!options.only.empty() && options.only != part.name) continue;
    findings.add(part.measure(), options.allow);
  }
  findings.add(grid_of(findings.bars()));
  if (!options.markdown.empty()) write_after(options.markdown, kMark, findings.markdown());
  const int missed = options.check ? count_missed(findings.bars()) : 0;
  return missed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const Options options = parse(Words(argc, argv));
  if (::geteuid() != 0) throw std::runtime_error("it has to be started by root");
  return run(options);
} catch (const UsageError& error) {
  fmt::print(stderr, "bench: {}\n{}", error.what(), kUsage);
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "bench: {}\n", error.what());
  return 1;
}
