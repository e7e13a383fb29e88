// SPDX-License-Identifier: Apache-2.0
#include "bench/processes.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "bench/peers.hpp"
#include "bench/program.hpp"
#include "support/temp_dir.hpp"

namespace sbx::bench {
namespace {

constexpr double kMinijail = 1.31;

Row process_row(std::string name, std::vector<std::string> words) {
  return {.name = std::move(name),
          .run = [words = std::move(words)] { return time_program(words); }};
}

Row peer_row(const Peer& peer) {
  Row row = process_row(peer.name, peer.words);
  row.optional = true;
  return row;
}

/// Holds sbx-run's row to the fastest peer's, those from `first_peer` on.
void add_peer_bar(Section& section, const std::string& shape, const Row& sbx_run,
                  const std::vector<Row>& rows, std::size_t first_peer) {
  const Row* fastest = nullptr;
  for (auto row = rows.begin() + static_cast<std::ptrdiff_t>(first_peer); row != rows.end();
       ++row) {
    if (!row->cannot_run.empty()) continue;
    if (fastest == nullptr || row->median() < fastest->median()) fastest = &*row;
  }
  if (fastest == nullptr) return;
  section.bars.push_back(
      {.name = "sbx-run " + shape + ", to the fastest peer (" + fastest->name + ")",
       .measured = sbx_run.median() / fastest->median(),
       .allowed = 1,
       .unit = "times",
       .may_equal = false});
}

Section measure_own_root(const Scale& scale, const Host& host, const std::string& sbx_run,
                         const std::string& floor) {
  constexpr std::size_t kSbxRun = 4;
  std::vector<Row> rows = {
      process_row("floor", {floor}), process_row("true alone", {"/usr/bin/true"}),
      process_row("sbx-run --no-init --seccomp none",
                  {sbx_run, "--no-init", "--seccomp", "none", "/usr/bin/true"}),
      process_row("sbx-run --no-init", {sbx_run, "--no-init", "/usr/bin/true"}),
      process_row("sbx-run", {sbx_run, "/usr/bin/true"})};
  const std::size_t first_peer = rows.size();
  for (const Peer& peer : peers_with_own_root(host)) rows.push_back(peer_row(peer));
  measure(rows, scale.rounds);

  Section section;
  const Row& measured = rows[kSbxRun];
  section.bars.push_back({.name = "sbx-run true, to the floor's whole process",
                          .measured = measured.median() / rows[0].median(),
                          .allowed = kMinijail,
                          .unit = "times"});
  add_peer_bar(section, "true", measured, rows, first_peer);
  rows.push_back(scaled(rows[0], kMinijail, "(1.31 times the floor, as minijail0 is)"));
  section.grids.push_back(
      grid_of("Whole processes: a root of the host's programs and settings", rows, 0));
  return section;
}

Section measure_host_root(const Scale& scale, const Host& host, const std::string& sbx_run) {
  std::vector<Row> rows = {
      process_row("sbx-run --rootfs /", {sbx_run, "--rootfs", "/", "/usr/bin/true"}),
      process_row("true alone", {"/usr/bin/true"}), peer_row(shortest_with_host_root())};
  const std::size_t first_peer = rows.size();
  for (const Peer& peer : peers_with_host_root(host)) rows.push_back(peer_row(peer));
  measure(rows, scale.rounds);

  Section section{
      .grids = {grid_of("Whole processes: the host's / read-only, /proc and /tmp", rows, 0)}};
  section.grids.back().notes = {
      "sbx-run makes /dev, its other places to write and the masks of /proc here too, and is held "
      "to the peers that do; bubblewrap's shortest command shares the host's /dev."};
  add_peer_bar(section, "--rootfs / true", rows[0], rows, first_peer);
  return section;
}

void append(Section& section, Section more) {
  std::move(more.grids.begin(), more.grids.end(), std::back_inserter(section.grids));
  std::move(more.bars.begin(), more.bars.end(), std::back_inserter(section.bars));
}

/// A copy of `program`, as an installation makes one. What a linker has written lies in memory in
/// smaller pieces, and takes longer to start than any installed peer.
std::string installed(const std::string& program, const std::filesystem::path& folder) {
  const std::filesystem::path copy = folder / std::filesystem::path(program).filename();
  std::filesystem::copy_file(program, copy);
  return copy;
}

}  // namespace

Section measure_processes(const Scale& scale, const std::string& sbx_run,
                          const std::string& floor) {
  const test::TempDir folder;
  const Host host(folder.path());
  const NspawnGroups groups;
  const test::TempDir programs;
  const std::string tool = installed(sbx_run, programs.path());
  Section section = measure_own_root(scale, host, tool, installed(floor, programs.path()));
  append(section, measure_host_root(scale, host, tool));
  return section;
}

}  // namespace sbx::bench
