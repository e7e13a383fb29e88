// SPDX-License-Identifier: Apache-2.0
#include "bench/callers.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "bench/library.hpp"
#include "bench/worker.hpp"
#include "support/temp_dir.hpp"

namespace sbx::bench {
namespace {

constexpr double kBigCallerBar = 1.1;

double start_one() {
  static const Spec spec = plain_spec();
  return time_start(spec);
}

Worker::Measurement be_small() { return start_one; }

/// A byte in each page, and not one shared with anybody.
Worker::Measurement be_big(std::size_t bytes) {
  auto touched = std::make_shared<std::vector<char>>(bytes, '\1');
  return [touched] { return start_one(); };
}

/// In a namespace of its own, which ends with the process.
Worker::Measurement have_mounts(const std::string& place, int count) {
  if (::unshare(CLONE_NEWNS) < 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    throw CannotRun(std::string("no mount namespace of its own: ") + std::strerror(errno));
  if (::mount("tmpfs", place.c_str(), "tmpfs", 0, nullptr) < 0)
    throw CannotRun(std::string("no tmpfs: ") + std::strerror(errno));
  for (int i = 0; i < count; ++i) {
    const std::string point = fmt::format("{}/{}", place, i);
    if (::mkdir(point.c_str(), 0755) < 0 ||
        ::mount(place.c_str(), point.c_str(), nullptr, MS_BIND, nullptr) < 0)
      throw CannotRun(fmt::format("mount {} of {}: {}", i, count, std::strerror(errno)));
  }
  return start_one;
}

/// Each with an init that waits. They end with the worker.
Worker::Measurement have_sandboxes(int count) {
  // A handle holds two descriptors.
  const rlimit many{.rlim_cur = 65536, .rlim_max = 65536};
  ::setrlimit(RLIMIT_NOFILE, &many);
  auto alive = std::make_shared<std::vector<Sandbox>>();
  const Spec only_init;
  for (int i = 0; i < count; ++i) alive->push_back(Sandbox::start(only_init));
  return [alive] { return start_one(); };
}

Row worker_row(std::string name, const std::shared_ptr<Worker>& worker) {
  return {.name = std::move(name), .run = [worker] { return (*worker)(); }};
}

/// A row that can be prepared only when there is room for it.
Row row_for(std::string name, const std::function<Worker::Measurement()>& prepare) {
  try {
    return worker_row(name, std::make_shared<Worker>(prepare));
  } catch (const CannotRun& error) {
    return {.name = std::move(name), .run = {}, .cannot_run = error.what()};
  }
}

Section measure_kinds(const Scale& scale) {
  const test::TempDir place;
  std::vector<Row> rows = {
      row_for("a small caller", be_small),
      row_for(fmt::format("one with {} MiB of touched memory", scale.big_bytes >> 20),
              [&] { return be_big(scale.big_bytes); }),
      row_for(fmt::format("one with {} mounts in its namespace", scale.mounts),
              [&] { return have_mounts(place.path(), scale.mounts); })};
  measure(rows, scale.rounds);
  Section section{.grids = {grid_of("The default start, by who calls", rows, 0)}};
  if (rows[1].cannot_run.empty()) {
    section.bars.push_back({.name = "a big caller's start, to a small one's",
                            .measured = rows[1].median() / rows[0].median(),
                            .allowed = kBigCallerBar,
                            .unit = "times"});
  }
  return section;
}

/// Sandboxes that are alive are so for every caller: what a start costs without them is measured
/// before.
Grid measure_crowd(const Scale& scale) {
  std::vector<Row> alone = {row_for("a small caller, alone", be_small)};
  measure(alone, scale.rounds);
  std::vector<Row> crowd = {row_for(fmt::format("one that has {} sandboxes alive", scale.alive),
                                    [&] { return have_sandboxes(scale.alive); }),
                            row_for("a small caller beside them", be_small)};
  measure(crowd, scale.rounds);
  crowd.insert(crowd.begin(), std::move(alone[0]));
  return grid_of("The default start, in a crowd", crowd, 0);
}

/// `threads` threads that start `each` sandboxes: starts a second.
double rate_of(int threads, int each) {
  const auto start = Clock::now();
  {
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([each] {
        for (int j = 0; j < each; ++j) start_one();
      });
    }
  }
  return threads * each / microseconds_since(start) * 1e6;
}

Grid measure_threads(const Scale& scale) {
  constexpr int kThreads[] = {1, 2, 4};
  constexpr int kTurns = 5;
  std::vector<double> rates[std::size(kThreads)];
  for (int turn = 0; turn < std::min(kTurns, scale.rounds); ++turn) {
    for (std::size_t i = 0; i < std::size(kThreads); ++i) {
      const int each = std::max(1, scale.rounds / kThreads[i]);
      Worker worker(
          [&]() -> Worker::Measurement { return [&, i] { return rate_of(kThreads[i], each); }; });
      rates[i].push_back(worker());
    }
  }
  Grid grid{.title = "Starts a second, by threads that start at once",
            .header = {"threads", "starts a second", "ratio"}};
  const double one = median_of(rates[0]);
  for (std::size_t i = 0; i < std::size(kThreads); ++i) {
    const double rate = median_of(rates[i]);
    grid.rows.push_back({std::to_string(kThreads[i]), fmt::format("{:.0f}", rate),
                         fmt::format("{:.2f}", rate / one)});
  }
  return grid;
}

}  // namespace

Section measure_callers(const Scale& scale) {
  Section section = measure_kinds(scale);
  section.grids.push_back(measure_crowd(scale));
  section.grids.push_back(measure_threads(scale));
  return section;
}

}  // namespace sbx::bench
