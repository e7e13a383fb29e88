// SPDX-License-Identifier: Apache-2.0
#include "bench/measure.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace sbx::bench {
namespace {

constexpr int kWarmUps = 2;

void measure_once(Row& row, bool counts, bool begins) {
  if (!row.cannot_run.empty()) return;
  try {
    const double took = row.run();
    if (counts && begins) row.microseconds.push_back(0);
    if (counts) row.microseconds.back() += took;
  } catch (const CannotRun& error) {
    if (!row.optional || counts) throw std::runtime_error("'" + row.name + "': " + error.what());
    row.cannot_run = error.what();
  }
}

}  // namespace

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double Row::quantile(double part) const {
  std::vector<double> sorted = microseconds;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(static_cast<double>(sorted.size() - 1) * part)];
}

double Row::ratio_to(const Row& base) const {
  std::vector<double> ratios;
  const std::size_t both = std::min(microseconds.size(), base.microseconds.size());
  for (std::size_t i = 0; i < both; ++i) ratios.push_back(microseconds[i] / base.microseconds[i]);
  return median_of(std::move(ratios));
}

void measure(std::vector<Row>& rows, int rounds, int pieces) {
  std::mt19937 generator;  // the same orders each time
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (int round = -kWarmUps; round < rounds; ++round) {
    for (int piece = 0; piece < pieces; ++piece) {
      // What a row leaves for the kernel to clean up is not always the same row's burden.
      std::shuffle(order.begin(), order.end(), generator);
      for (const std::size_t i : order) measure_once(rows[i], round >= 0, piece == 0);
    }
  }
}

Row scaled(const Row& row, double factor, std::string name) {
  Row copy{.name = std::move(name), .run = {}, .microseconds = row.microseconds};
  for (double& took : copy.microseconds) took *= factor;
  return copy;
}

double median_of(std::vector<double> figures) {
  return Row{.name = {}, .run = {}, .microseconds = std::move(figures)}.median();
}

}  // namespace sbx::bench
