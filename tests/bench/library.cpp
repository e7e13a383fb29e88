// SPDX-License-Identifier: Apache-2.0
#include "bench/library.hpp"

#include <fmt/format.h>

#include <utility>

namespace sbx::bench {
namespace {

constexpr double kLibraryBar = 1.15;

Row floor_row(const char* name, floor_part part) {
  return {.name = name, .run = [part] { return time_floor(part); }};
}

Row library_row(const char* name, const Spec& spec) {
  return {.name = name, .run = [spec] { return time_start(spec); }};
}

/// From the most to the least that a Spec leaves out.
struct Specs {
  Spec full = plain_spec();
  Spec no_init = full;
  Spec no_filter = full;
  Spec no_users = full;
  Spec no_network = full;

  Specs() {
    no_init.init = Init::kNone;
    no_filter = no_init;
    no_filter.seccomp = SeccompFilter::none();
    no_users = no_filter;
    no_users.user_namespace.mode = UserNamespace::Mode::kHost;
    no_network = no_users;
    no_network.network = Network::kHost;
  }
};

}  // namespace

Spec plain_spec() { return {.command = {.argv = {"/usr/bin/true"}}}; }

double time_start(const Spec& spec) {
  const auto start = Clock::now();
  const Report report = Sandbox::start(spec).wait();
  const double took = microseconds_since(start);
  if (report.status != 0) throw CannotRun(fmt::format("true ended with {}", report.status));
  return took;
}

double time_floor(floor_part part) {
  static const char* const argv[] = {"/usr/bin/true", nullptr};
  const auto start = Clock::now();
  const int status = ::floor_run(part, argv);
  const double took = microseconds_since(start);
  if (status != 0) throw CannotRun(fmt::format("the floor ended with wait status {}", status));
  return took;
}

Section measure_library(const Scale& scale) {
  constexpr std::size_t kUsersFloor = 6;
  constexpr std::size_t kWholeFloor = 7;
  constexpr std::size_t kBarred = 10;
  const Specs specs;
  std::vector<Row> rows = {
      floor_row("floor: exec", FLOOR_EXEC),
      floor_row("floor: and namespaces", FLOOR_NAMESPACES),
      floor_row("floor: and a root", FLOOR_ROOT),
      floor_row("floor: and /dev, masks of /proc", FLOOR_DEV),
      floor_row("floor: and a network", FLOOR_NETWORK),
      floor_row("floor: and a session, no rights", FLOOR_RIGHTS),
      floor_row("floor: and users", FLOOR_USERS),
      floor_row("floor: and the files of /etc", FLOOR_FILES),
      library_row("library: no network, users, filter, init", specs.no_network),
      library_row("library: and a network", specs.no_users),
      library_row("library: and users", specs.no_filter),
      library_row("library: and the filter", specs.no_init),
      library_row("library: and the init (the default)", specs.full)};
  measure(rows, scale.rounds);

  Section section;
  section.grids.push_back(
      grid_of("The library in a loop, from the call to the end of true", rows, kWholeFloor));
  const double barred = rows[kBarred].median();
  section.grids.back().notes = {
      "A Spec cannot leave /dev out; what it costs is the difference of two lines of the floor.",
      fmt::format("Without init and filter: {:.2f} times the floor that leaves the files out.",
                  barred / rows[kUsersFloor].median())};
  section.bars.push_back({.name = "the library without init and filter, to the floor",
                          .measured = barred / rows[kWholeFloor].median(),
                          .allowed = kLibraryBar,
                          .unit = "times"});
  return section;
}

}  // namespace sbx::bench
