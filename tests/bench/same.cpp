// SPDX-License-Identifier: Apache-2.0
//
// Keeps the floor honest: one that makes less than the library is no floor for it, and one that
// makes more flatters it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

#include "bench/library.hpp"
#include "sbx/fd.hpp"

namespace sbx::bench {
namespace {

using Lines = std::set<std::string>;

constexpr const char* kScript =
    "sed 's/^/mount /' /proc/self/mountinfo;"
    "find /etc /dev /home /run -xdev -printf 'file %p %y %m %U\\n';"
    "grep -E '^(Cap...|NoNewPrivs|Uid|Gid|Groups|Seccomp):' /proc/self/status;"
    "echo hostname $(cat /proc/sys/kernel/hostname)";

/// A mount without the numbers that differ each time.
std::string mount_line(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  std::string root;
  std::string point;
  std::string options;
  std::string type;
  words >> word >> word >> word >> word >> root >> point >> options;
  while (words >> word && word != "-") continue;
  words >> type;
  return fmt::format("mount {} {} {} {}", point, root, type, options);
}

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.find(" /dev/pts/") != std::string::npos) continue;
    lines.insert(line.starts_with("mount ") ? mount_line(line) : line);
  }
  return lines;
}

Lines inside_library() {
  Spec spec = plain_spec();
  spec.command.argv = {"/bin/sh", "-c", kScript};
  spec.init = Init::kNone;
  spec.seccomp = SeccompFilter::none();
  return lines_of(sbx::run(spec).out);
}

Lines inside_floor() {
  const UniqueFd output(::memfd_create("floor", MFD_CLOEXEC));
  const UniqueFd saved(::fcntl(1, F_DUPFD_CLOEXEC, 3));
  const char* const argv[] = {"/bin/sh", "-c", kScript, nullptr};
  std::fflush(stdout);
  ::dup2(output.get(), 1);
  ::floor_run(FLOOR_FILES, argv);
  ::dup2(saved.get(), 1);
  std::string text(static_cast<std::size_t>(::lseek(output.get(), 0, SEEK_END)), '\0');
  const ssize_t size = ::pread(output.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return lines_of(text);
}

/// Adds what only one of the two has, and returns how much that is.
std::size_t add_missing(Grid& grid, const char* who, const Lines& has, const Lines& other) {
  Lines only;
  std::set_difference(has.begin(), has.end(), other.begin(), other.end(),
                      std::inserter(only, only.end()));
  for (const std::string& line : only) grid.rows.push_back({who, line});
  return only.size();
}

std::size_t count(const Lines& lines, const char* start) {
  return static_cast<std::size_t>(
      std::count_if(lines.begin(), lines.end(),
                    [start](const std::string& line) { return line.starts_with(start); }));
}

}  // namespace

Section compare_with_floor() {
  const Lines floor = inside_floor();
  const Lines library = inside_library();
  Grid grid{.title = "What the floor and the library make", .header = {"", ""}};
  grid.rows.push_back({"the floor", fmt::format("{} mounts, {} files and folders",
                                                count(floor, "mount "), count(floor, "file "))});
  grid.rows.push_back(
      {"the library", fmt::format("{} mounts, {} files and folders", count(library, "mount "),
                                  count(library, "file "))});
  std::size_t differences = add_missing(grid, "the floor only", floor, library);
  differences += add_missing(grid, "the library only", library, floor);
  if (differences == 0) grid.notes = {"No difference: mounts, files, ids, capabilities."};
  return {.grids = {grid},
          .bars = {{.name = "differences of the floor from the library",
                    .measured = static_cast<double>(differences),
                    .allowed = 0,
                    .unit = "lines"}}};
}

}  // namespace sbx::bench
