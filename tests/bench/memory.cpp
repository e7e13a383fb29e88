// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/callers.hpp"
#include "bench/library.hpp"
#include "bench/worker.hpp"
#include "support/process.hpp"

namespace sbx::bench {
namespace {

constexpr double kInitBarKib = 200;
constexpr double kGrowthBarKib = 256;
constexpr int kFirstStarts = 100;

/// The sum of some fields of /proc/PID/smaps_rollup. It counts exactly, where VmRSS of
/// /proc/PID/status may be off by some dozens of pages.
double kibibytes(const std::string& pid, const std::vector<std::string>& fields) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  double sum = 0;
  int found = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    words >> name >> value;
    if (std::find(fields.begin(), fields.end(), name) == fields.end()) continue;
    sum += value;
    ++found;
  }
  if (found == 0) throw CannotRun("cannot read the smaps_rollup of " + pid);
  return sum;
}

double waiting_init() {
  const Spec only_init;
  const Sandbox waiting = Sandbox::start(only_init);
  const int pid = waiting.pid();
  if (!test::wait_until([pid] { return test::state_of(pid) == 'S'; }))
    throw CannotRun("the init does not come to rest");
  return kibibytes(std::to_string(pid), {"Private_Clean:", "Private_Dirty:"});
}

/// What a program holds, after so many starts.
struct Held {
  double kib = 0;
  double descriptors = 0;
};

/// Adds what this process holds to `figures`: memory, then descriptors.
void add_held(std::vector<double>& figures) {
  figures.push_back(kibibytes("self", {"Rss:"}));
  figures.push_back(static_cast<double>(test::open_fds().size()));
}

/// Each call of the worker gives one figure: memory, then descriptors, at both times.
Worker::Measurement start_many(int count) {
  auto figures = std::make_shared<std::vector<double>>();
  int done = 0;
  const Spec spec = plain_spec();
  add_held(*figures);  // what looking takes the first time is not to count
  figures->clear();
  for (const int until : {kFirstStarts, count}) {
    for (; done < until; ++done) time_start(spec);
    add_held(*figures);
  }
  auto next = std::make_shared<std::size_t>(0);
  return [figures, next] { return figures->at((*next)++); };
}

std::string kib(double value) { return fmt::format("{:.0f} KiB", value); }

}  // namespace

Section measure_memory(const Scale& scale) {
  Section section;
  const double init = waiting_init();
  Worker many([&] { return start_many(scale.starts); });
  Held before;
  Held after;
  for (double* figure : {&before.kib, &before.descriptors, &after.kib, &after.descriptors}) {
    *figure = many();
  }
  const std::string starts = fmt::format("after {} starts", scale.starts);
  section.grids.push_back(
      {.title = "Memory",
       .header = {"", "resident memory", "descriptors"},
       .rows = {{"the waiting init, private", kib(init), "-"},
                {fmt::format("a program after {} starts", kFirstStarts), kib(before.kib),
                 fmt::format("{:.0f}", before.descriptors)},
                {"the same " + starts, kib(after.kib), fmt::format("{:.0f}", after.descriptors)}}});
  section.bars = {{.name = "private memory of the waiting init",
                   .measured = init,
                   .allowed = kInitBarKib,
                   .unit = "KiB",
                   .may_equal = false},
                  {.name = "a program's memory " + starts + ", growth",
                   .measured = after.kib - before.kib,
                   .allowed = kGrowthBarKib,
                   .unit = "KiB"},
                  {.name = "a program's descriptors " + starts + ", growth",
                   .measured = after.descriptors - before.descriptors,
                   .allowed = 0,
                   .unit = "descriptors"}};
  return section;
}

}  // namespace sbx::bench
