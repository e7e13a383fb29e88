// SPDX-License-Identifier: Apache-2.0
#include "bench/neighbours.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sbx/fd.hpp"
#include "sbx/sandbox.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace sbx::bench {
namespace {

constexpr double kProcessorBar = 1.10;
constexpr int kTurns = 5;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Answers each byte with one, after a tenth of a millisecond of work.
constexpr const char* kServer =
    "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Local => '/srv/socket', Listen => 5); "
    "while (my $c = $s->accept) { while (sysread($c, my $b, 1)) { my $x = 0; $x += $_ for 1..2500; "
    "syswrite($c, 'x') } }";

struct Hog {
  const char* name;
  const char* script;
  const char* processors = "";
};

constexpr const char* kFourThatCompute =
    "for i in 1 2 3; do (while :; do :; done) & done; while :; do :; done";

constexpr Hog kHogs[] = {
    {"one that computes", "while :; do :; done"},
    {"four that compute", kFourThatCompute},
    {"four that compute, held on one processor", kFourThatCompute, "0"},
    {"all memory, again and again", "while :; do tail /dev/zero; done"},
    {"a fork bomb", "b() { b | b & }; b; while :; do b; done"},
    {"writing to the disk",
     "while :; do dd if=/dev/zero of=/srv/x bs=1M count=64 oflag=direct; done"},
};

Spec tenant(const test::TempDir& folder, std::vector<std::string> argv) {
  Spec spec{.command = {.argv = std::move(argv)}};
  spec.user = User{.uid = 0, .gid = 0};
  spec.mounts.push_back(Bind{.source = folder.path(), .target = "/srv"});
  spec.limits = {.memory_bytes = 64 * kMiB, .cpu_weight = 100, .pids = 64};
  spec.command.fds.clear();
  return spec;
}

class Client {
 public:
  explicit Client(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool connected = test::wait_until([&] {
      return ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof address) == 0;
    });
    if (!connected) throw CannotRun("the server does not listen");
  }

  /// The microseconds until each answer, of requests that come a millisecond after each other.
  void ask(int times, std::vector<double>& took) const {
    for (int i = 0; i < times; ++i) {
      const timespec pause{.tv_sec = 0, .tv_nsec = 1000000};
      ::nanosleep(&pause, nullptr);
      const auto start = Clock::now();
      char byte = 'x';
      if (::send(socket_.get(), &byte, 1, MSG_NOSIGNAL) != 1 ||
          ::recv(socket_.get(), &byte, 1, 0) != 1) {
        throw CannotRun("the server does not answer");
      }
      took.push_back(microseconds_since(start));
    }
  }

 private:
  UniqueFd socket_;
};

double part_of(std::vector<double> all, double part) {
  std::sort(all.begin(), all.end());
  return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))];
}

std::vector<std::string> row_of(const std::string& name, const std::vector<double>& took,
                                const std::vector<double>& alone) {
  return {name, fmt::format("{:.0f}", part_of(took, 0.5)),
          fmt::format("{:.0f}", part_of(took, 0.99)),
          fmt::format("{:.2f}", part_of(took, 0.5) / part_of(alone, 0.5)),
          fmt::format("{:.2f}", part_of(took, 0.99) / part_of(alone, 0.99))};
}

}  // namespace

Section measure_neighbours(const Scale& scale) {
  Section section;
  section.grids.push_back(
      {.title = "Answers of a tenant, beside one who takes what he can get",
       .header = {"microseconds", "median", "p99", "median ratio", "p99 ratio"}});
  Grid& grid = section.grids.back();
  const test::TempDir served;
  const Sandbox server = Sandbox::start(tenant(served, {"perl", "-e", kServer}));
  const Client client(served.path() / "socket");
  const int asked = std::max(scale.rounds * 2, 10);
  for (const Hog& hog : kHogs) {
    const test::TempDir own;
    std::vector<double> alone;
    std::vector<double> beside;
    for (int turn = 0; turn < kTurns; ++turn) {
      client.ask(asked, alone);
      Spec spec = tenant(own, {"sh", "-c", hog.script});
      spec.limits.processors = hog.processors;
      const Sandbox other = Sandbox::start(spec);
      client.ask(asked, beside);
    }
    grid.rows.push_back(row_of(fmt::format("alone, before {}", hog.name), alone, alone));
    grid.rows.push_back(row_of(fmt::format("beside {}", hog.name), beside, alone));
    if (&hog != kHogs) continue;
    section.bars.push_back({.name = "the slowest answers beside one who computes, to those alone",
                            .measured = part_of(beside, 0.99) / part_of(alone, 0.99),
                            .allowed = kProcessorBar,
                            .unit = "times"});
  }
  grid.notes = {
      "Both tenants have the same weight, 64 MiB and 64 processes; requests come a "
      "millisecond apart, and each takes a tenth of one."};
  return section;
}

}  // namespace sbx::bench
