// SPDX-License-Identifier: Apache-2.0
//
// Rows that are measured taking turns, so that whatever else the machine does meets all of them.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sbx::bench {

using Clock = std::chrono::steady_clock;

/// The time since `start`.
double microseconds_since(Clock::time_point start);

/// How much is done of each measurement.
struct Scale {
  int rounds = 200;
  int starts = 100'000;  ///< after which memory and descriptors are looked at again
  int alive = 1000;      ///< sandboxes that run at the same time
  int mounts = 1000;     ///< in the caller's namespace
  std::size_t big_bytes = std::size_t{1} << 30;  ///< that a big caller has touched

  static Scale quick() { return {.rounds = 20, .starts = 2000, .alive = 200}; }
  static Scale smoke() {
    return {.rounds = 1, .starts = 110, .alive = 10, .mounts = 10, .big_bytes = 16U << 20};
  }
};

/// What a row measures does not work on this host; what() says why.
struct CannotRun : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Row {
  std::string name;
  std::function<double()> run;  ///< does it once: microseconds; throws when it did not work
  bool optional = false;        ///< a failure of the first rounds is the row's result
  std::vector<double> microseconds{};
  std::string cannot_run{};  ///< why

  [[nodiscard]] double quantile(double part) const;
  [[nodiscard]] double median() const { return quantile(0.5); }

  /// The middle one of the ratios to what `base` took in the same rounds: what the machine does
  /// meanwhile slows both down.
  [[nodiscard]] double ratio_to(const Row& base) const;
};

/// Measures each row once a round, in an order that changes. A few rounds before the first warm up.
/// With more than one piece a row's figure of a round is the sum of so many runs, between which the
/// others take turns.
void measure(std::vector<Row>& rows, int rounds, int pieces = 1);

/// `row` made slower by `factor`, for a row that is known by its ratio alone.
Row scaled(const Row& row, double factor, std::string name);

/// The middle one of some figures.
double median_of(std::vector<double> figures);

}  // namespace sbx::bench
