// SPDX-License-Identifier: Apache-2.0
//
// What a start costs, from the call to the end of /usr/bin/true, beside a floor of raw system calls
// and beside bubblewrap, all in one run and taking turns. Prints medians and ratios.
//
// usage: bench SBX_RUN FLOOR [ROUNDS]
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "bench/floor.h"
#include "sbx/sandbox.hpp"

namespace {

using Clock = std::chrono::steady_clock;

struct Row {
  std::string name;
  std::function<int()> run;  // 0 when it went well
  std::vector<double> microseconds{};
};

/// A group of rows and the one that the others are compared with.
struct Table {
  std::string title;
  std::vector<Row> rows;
  std::size_t base;
};

int spawn_and_wait(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

Row floor_row(const char* name, floor_part part) {
  return {.name = name, .run = [part] { return ::floor_run(part); }};
}

Row library_row(const char* name, const sbx::Spec& spec) {
  return {.name = name, .run = [spec] { return sbx::Sandbox::start(spec).wait().status; }};
}

Row process_row(const char* name, std::vector<std::string> words) {
  return {.name = name, .run = [words = std::move(words)] { return spawn_and_wait(words); }};
}

Table library_table() {
  sbx::Spec full{.command = {.argv = {"/usr/bin/true"}}};
  sbx::Spec bare = full;
  bare.init = sbx::Init::kNone;
  sbx::Spec unfiltered = bare;
  unfiltered.seccomp = sbx::SeccompFilter::none();
  sbx::Spec own_ids = unfiltered;
  own_ids.user_namespace.mode = sbx::UserNamespace::Mode::kHost;
  sbx::Spec own_network = own_ids;
  own_network.network = sbx::Network::kHost;
  return {.title = "the library, in a loop",
          .rows = {floor_row("floor: fork and exec", FLOOR_EXEC),
                   floor_row("floor: and namespaces", FLOOR_NAMESPACES),
                   floor_row("floor: and a root", FLOOR_ROOT),
                   floor_row("floor: and /dev, masks", FLOOR_DEV),
                   floor_row("floor: and a network", FLOOR_NETWORK),
                   floor_row("floor: and users", FLOOR_USERS),
                   library_row("library: no user, no network, no filter, no init", own_network),
                   library_row("library: and a network", own_ids),
                   library_row("library: and users", unfiltered),
                   library_row("library: and the filter", bare),
                   library_row("library: and the init (default)", full)},
          .base = 5};
}

Table process_table(const std::string& sbx_run, const std::string& floor) {
  return {.title = "whole processes",
          .rows = {process_row("floor", {floor}), process_row("true alone", {"/usr/bin/true"}),
                   process_row("sbx-run --no-init --seccomp none",
                               {sbx_run, "--no-init", "--seccomp", "none", "/usr/bin/true"}),
                   process_row("sbx-run --no-init", {sbx_run, "--no-init", "/usr/bin/true"}),
                   process_row("sbx-run", {sbx_run, "/usr/bin/true"}),
                   process_row("bubblewrap", {"bwrap",
                                              "--unshare-all",
                                              "--ro-bind",
                                              "/usr",
                                              "/usr",
                                              "--symlink",
                                              "usr/bin",
                                              "/bin",
                                              "--symlink",
                                              "usr/lib",
                                              "/lib",
                                              "--symlink",
                                              "usr/lib64",
                                              "/lib64",
                                              "--ro-bind",
                                              "/etc/alternatives",
                                              "/etc/alternatives",
                                              "--proc",
                                              "/proc",
                                              "--dev",
                                              "/dev",
                                              "--tmpfs",
                                              "/tmp",
                                              "--tmpfs",
                                              "/var/tmp",
                                              "--tmpfs",
                                              "/run",
                                              "--tmpfs",
                                              "/home/sandbox",
                                              "/usr/bin/true"})},
          .base = 0};
}

bool measure(Table& table, int rounds) {
  for (int round = -2; round < rounds; ++round) {
    for (Row& row : table.rows) {
      const auto start = Clock::now();
      const int status = row.run();
      const std::chrono::duration<double, std::micro> took = Clock::now() - start;
      if (status != 0) {
        fmt::print(stderr, "bench: '{}' failed with status {}\n", row.name, status);
        return false;
      }
      if (round >= 0) row.microseconds.push_back(took.count());  // the first two warm up
    }
  }
  return true;
}

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * part)];
}

void print(const Table& table) {
  const double base = quantile(table.rows[table.base].microseconds, 0.5);
  fmt::print("\n{} (us; ratio to '{}')\n", table.title, table.rows[table.base].name);
  fmt::print("{:<52}{:>9}{:>9}{:>9}{:>8}\n", "", "p10", "median", "p90", "ratio");
  for (const Row& row : table.rows) {
    const double median = quantile(row.microseconds, 0.5);
    fmt::print("{:<52}{:>9.0f}{:>9.0f}{:>9.0f}{:>8.2f}\n", row.name,
               quantile(row.microseconds, 0.1), median, quantile(row.microseconds, 0.9),
               median / base);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    fmt::print(stderr, "usage: bench SBX_RUN FLOOR [ROUNDS]\n");
    return 2;
  }
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 200;
  for (Table table : {library_table(), process_table(argv[1], argv[2])}) {
    if (!measure(table, rounds)) return 1;
    print(table);
  }
  return 0;
}
