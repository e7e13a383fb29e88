// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace sbx::bench {
namespace {

/// The columns' widths. A row of two cells is a name and a sentence, which may run over the rest.
std::vector<std::size_t> widths_of(const Grid& grid) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : grid.header) widths.push_back(cell.size());
  for (const auto& row : grid.rows) {
    const std::size_t used = row.size() < grid.header.size() ? 1 : row.size();
    for (std::size_t i = 0; i < used; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  return widths;
}

/// Figures to the right, and what has no header to the left.
std::string text_row(const Grid& grid, const std::vector<std::string>& cells,
                     const std::vector<std::size_t>& widths) {
  std::string line = fmt::format("  {:<{}}", cells[0], widths[0]);
  const bool full = cells.size() == widths.size();
  for (std::size_t i = 1; i < cells.size(); ++i) {
    const bool is_figure = full && !grid.header[i].empty();
    line += is_figure ? fmt::format("  {:>{}}", cells[i], widths[i]) : "  " + cells[i];
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line.empty() ? "" : line + "\n";
}

std::string markdown_row(const std::vector<std::string>& cells, std::size_t columns) {
  std::string line = "|";
  for (std::size_t i = 0; i < columns; ++i) {
    line += fmt::format(" {} |", i < cells.size() ? cells[i] : "");
  }
  return line + "\n";
}

std::string figure(double value, const std::string& unit) {
  return unit == "times" ? fmt::format("{:.2f}", value) : fmt::format("{:.0f} {}", value, unit);
}

}  // namespace

Grid grid_of(std::string title, const std::vector<Row>& rows, std::size_t base) {
  Grid grid{.title = std::move(title), .header = {"microseconds", "p10", "median", "p90", "ratio"}};
  const double one = rows.at(base).median();
  for (const Row& row : rows) {
    if (!row.cannot_run.empty()) {
      grid.rows.push_back({row.name, "cannot run here: " + row.cannot_run});
      continue;
    }
    grid.rows.push_back(
        {row.name, fmt::format("{:.0f}", row.quantile(0.1)), fmt::format("{:.0f}", row.median()),
         fmt::format("{:.0f}", row.quantile(0.9)), fmt::format("{:.2f}", row.median() / one)});
  }
  return grid;
}

Grid grid_of(const std::vector<Bar>& bars) {
  Grid grid{.title = "The bars", .header = {"", "measured", "allowed", ""}};
  for (const Bar& bar : bars) {
    grid.rows.push_back({bar.name, figure(bar.measured, bar.unit),
                         (bar.may_equal ? "" : "below ") + figure(bar.allowed, bar.unit),
                         bar.held() ? "held" : "MISSED"});
  }
  return grid;
}

std::string as_text(const Grid& grid) {
  const auto widths = widths_of(grid);
  std::string text = "\n" + grid.title + "\n";
  if (!grid.header.empty()) text += text_row(grid, grid.header, widths);
  for (const auto& row : grid.rows) text += text_row(grid, row, widths);
  for (const std::string& note : grid.notes) text += "  " + note + "\n";
  return text;
}

std::string as_markdown(const Grid& grid) {
  std::string text = "\n### " + grid.title + "\n\n";
  if (!grid.header.empty()) {
    text += markdown_row(grid.header, grid.header.size()) + "|---|";
    for (std::size_t i = 1; i < grid.header.size(); ++i)
      text += grid.header[i].empty() ? "---|" : "---:|";
    text += "\n";
  }
  for (const auto& row : grid.rows) text += markdown_row(row, grid.header.size());
  for (const std::string& note : grid.notes) text += "\n" + note + "\n";
  return text;
}

void write_after(const std::string& path, std::string_view mark, const std::string& text) {
  std::string kept;
  if (std::ifstream old(path); old) {
    const std::string whole{std::istreambuf_iterator<char>(old), {}};
    const std::size_t found = whole.find(mark);
    if (found != std::string::npos) kept = whole.substr(0, found + mark.size()) + "\n";
  }
  std::ofstream file(path);
  file << kept << text;
  if (!file.flush()) throw std::runtime_error("cannot write '" + path + "'");
}

}  // namespace sbx::bench
