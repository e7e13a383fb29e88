// SPDX-License-Identifier: Apache-2.0
#include "host/nearest.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace sbx::detail {
namespace {

constexpr std::size_t kMostEdits = 2;

/// Levenshtein's: how many letters have to be added, taken out or replaced.
std::size_t edits(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t fewest = kMostEdits + 1;
  for (const std::string& candidate : known) {
    if (word.size() > candidate.size() + kMostEdits) continue;  // it may be of any length
    const std::size_t count = edits(word, candidate);
    // Two letters of three are another word.
    if (count >= fewest || 2 * count > candidate.size()) continue;
    fewest = count;
    best = candidate;
  }
  return best;
}

}  // namespace sbx::detail
