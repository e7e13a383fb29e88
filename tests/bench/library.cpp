// SPDX-License-Identifier: Apache-2.0
#include "bench/library.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <utility>

namespace sbx::bench {
namespace {

constexpr double kLibraryBar = 1.15;
constexpr const char* kFloorLimits = "floor: and a group with limits";
constexpr const char* kWithoutInit = "library: and users";
constexpr const char* kWithInit = "library: users and the init, no filter";
constexpr const char* kWithLimits = "library: and limits of memory, processors, processes";

namespace fs = std::filesystem;

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
  Spec limited = full;
  Spec unlimited = full;

  Specs() {
    no_init.init = Init::kNone;
    no_filter = no_init;
    no_filter.seccomp = SeccompFilter::none();
    no_users = no_filter;
    no_users.user_namespace.mode = UserNamespace::Mode::kHost;
    no_network = no_users;
    no_network.network.mode = Network::Mode::kHost;
    unlimited.seccomp = SeccompFilter::none();
    limited = unlimited;
    limited.limits = {.memory_bytes = std::uint64_t{256} << 20, .cpus = 0.5, .pids = 63};
  }
};

/// Tells the floor where the library makes its groups.
void place_floor_groups() {
  static const Cgroup own = Cgroup::of(::getpid());
  static std::vector<std::pair<std::string, std::string>> found;  // path, controller
  const std::string unified =
      own.fd() < 0 ? "" : fs::read_symlink("/proc/self/fd/" + std::to_string(own.fd())).native();
  if (!unified.empty()) found.emplace_back(unified, "");
  for (const Controller controller : {Controller::kMemory, Controller::kCpu, Controller::kPids}) {
    const std::string path = own.path(controller).native();
    if (path != unified) found.emplace_back(path, to_string(controller));
  }
  std::vector<floor_place> places;
  for (const auto& [path, controller] : found) {
    places.push_back({.parent = path.c_str(),
                      .controller = controller.c_str(),
                      .whole = found.size() == 1 ? 1 : 0});
  }
  ::floor_use_groups(places.data(), places.size());
}

/// What limits cost, of which those of memory need the init: without that, which no floor has.
void judge_limits(const std::vector<Row>& rows, Section& section) {
  const auto median_of = [&](std::string_view name) {
    for (const Row& row : rows) {
      if (row.name == name) return row.median();
    }
    return 0.0;
  };
  const double init = median_of(kWithInit) - median_of(kWithoutInit);
  section.bars.push_back({.name = "a start with limits, less the init, to the floor with limits",
                          .measured = (median_of(kWithLimits) - init) / median_of(kFloorLimits),
                          .allowed = kLibraryBar,
                          .unit = "times"});
}

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
  constexpr std::size_t kBarred = 11;
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
      floor_row(kFloorLimits, FLOOR_LIMITS),
      library_row("library: no network, users, filter, init", specs.no_network),
      library_row("library: and a network", specs.no_users),
      library_row(kWithoutInit, specs.no_filter),
      library_row("library: and the filter", specs.no_init),
      library_row("library: and the init (the default)", specs.full),
      library_row(kWithInit, specs.unlimited),
      library_row(kWithLimits, specs.limited)};
  place_floor_groups();
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
  judge_limits(rows, section);
  return section;
}

}  // namespace sbx::bench
