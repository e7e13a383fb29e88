// SPDX-License-Identifier: Apache-2.0
//
// What the bench has found: tables for people, and bars that are held or missed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/measure.hpp"

namespace sbx::bench {

/// A table as it is printed. A row may be shorter than the header.
struct Grid {
  std::string title;
  std::vector<std::string> header{};
  std::vector<std::vector<std::string>> rows{};
  std::vector<std::string> notes{};
};

/// A figure that must not be larger than what is allowed.
struct Bar {
  std::string name;
  double measured = 0;
  double allowed = 0;
  std::string unit;       ///< "times", "KiB"
  bool may_equal = true;  ///< false: must be smaller

  [[nodiscard]] bool held() const { return may_equal ? measured <= allowed : measured < allowed; }
};

/// One part of the bench, with what it holds others to.
struct Section {
  std::vector<Grid> grids{};
  std::vector<Bar> bars{};
};

/// Medians, p10, p90, and ratios to the row `base`.
Grid grid_of(std::string title, const std::vector<Row>& rows, std::size_t base);

Grid grid_of(const std::vector<Bar>& bars);

std::string as_text(const Grid& grid);
std::string as_markdown(const Grid& grid);

/// Writes `text` to `path`: after the line `mark` where the file has one, else as the whole of it.
void write_after(const std::string& path, std::string_view mark, const std::string& text);

}  // namespace sbx::bench
