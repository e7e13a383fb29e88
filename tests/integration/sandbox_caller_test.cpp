// SPDX-License-Identifier: Apache-2.0
//
// What a start does to the program that makes it: nothing that lasts.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string_view>
#include <thread>
#include <vector>

#include "sbx/ksm.hpp"
#include "support/child.hpp"
#include "support/pasta.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"

using sbx::Sandbox;
using sbx::test::shell;

namespace {

constexpr int kGetMemoryMerge = 68;  // PR_GET_MEMORY_MERGE, Linux 6.4

/// What of a process a start could spoil.
struct Condition {
  int dumpable = ::prctl(PR_GET_DUMPABLE);
  std::string directory = std::filesystem::current_path();
  mode_t mask = read_mask();
  std::vector<std::pair<int, std::string>> fds = sbx::test::open_fds();
  std::string signals = signal_lines();
  uid_t user = ::geteuid();
  int parent_death_signal = read_parent_death_signal();
  int merges_memory = ::prctl(kGetMemoryMerge, 0, 0, 0, 0);
  int adopts_orphans = read_child_subreaper();

  friend bool operator==(const Condition&, const Condition&) = default;

  static mode_t read_mask() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return mask;
  }
  static int read_parent_death_signal() {
    int signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &signal);
    return signal;
  }
  static int read_child_subreaper() {
    int adopts = 0;
    ::prctl(PR_GET_CHILD_SUBREAPER, &adopts);
    return adopts;
  }
  static std::string signal_lines() {
    std::string lines;
    std::FILE* status = std::fopen("/proc/self/status", "re");
    char line[256];
    while (std::fgets(line, sizeof line, status) != nullptr) {
      const std::string_view text(line);
      // Not SigQ: it counts the signals of everybody of this user.
      for (const char* kept : {"SigBlk", "SigIgn", "SigCgt", "Cap"}) {
        if (text.starts_with(kept)) lines += line;
      }
    }
    std::fclose(status);
    return lines;
  }
};

void do_nothing(int /*signal*/) {}

std::string start_several_ways() {
  struct sigaction action {};
  action.sa_handler = do_nothing;
  ::sigaction(SIGUSR1, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  ::umask(027);
  const Condition before;

  sbx::Spec bare = shell("exit 0");
  bare.init = sbx::Init::kNone;
  sbx::run(bare);
  sbx::run(shell("exit 1"));
  if (sbx::ksm::whole_process_supported()) {
    sbx::Spec merged = shell("exit 0");
    merged.memory_merge = sbx::MemoryMerge::kDeep;
    sbx::run(merged);
  }
  if (sbx::test::why_no_pasta().empty()) {
    sbx::Spec connected = shell("exit 0");
    connected.network.mode = sbx::Network::Mode::kUser;
    sbx::run(connected);
  }
  { const Sandbox killed = Sandbox::start(shell("sleep 60")); }
  try {
    Sandbox::start({.command = {.argv = {"no-such-program"}}});
  } catch (const sbx::SystemError&) {
  }
  try {
    Sandbox::start({.command = {.argv = {"true"}, .workdir = "/absent"}, .init = sbx::Init::kNone});
  } catch (const sbx::SystemError&) {
  }

  return Condition() == before ? "as before" : "changed";
}

}  // namespace

TEST_CASE(
    "starts leave the caller's flags, handlers, masks, directory and descriptors as they were") {
  CHECK(sbx::test::in_child(start_several_ways) == "as before");
}

TEST_CASE("a caller who is not dumpable stays so") {
  SBX_REQUIRE_ROOT();  // the maps of such a process cannot be written by another
  const std::string said = sbx::test::in_child([] {
    ::prctl(PR_SET_DUMPABLE, 0);
    sbx::Spec bare = shell("exit 0");
    bare.init = sbx::Init::kNone;
    sbx::run(bare);
    return std::to_string(::prctl(PR_GET_DUMPABLE));
  });

  CHECK(said == "0");
}

TEST_CASE("a caller who waits for any child meets no half-made sandbox") {
  const std::string said = sbx::test::in_child([] {
    try {
      Sandbox::start({.command = {.argv = {"no-such-program"}}, .init = sbx::Init::kNone});
    } catch (const sbx::SystemError&) {
    }
    return std::string(::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD ? "none" : "one");
  });

  CHECK(said == "none");
}

TEST_CASE("sandboxes start from eight threads that allocate all the time") {
  constexpr int kThreads = 8;
  constexpr int kStarts = 12;
  const int dumpable = ::prctl(PR_GET_DUMPABLE);
  std::atomic<int> good = 0;
  std::atomic<bool> running = true;
  std::vector<std::thread> threads;
  const auto allocate = [&] {
    while (running) {
      std::vector<std::string> texts;
      for (int i = 1; i < 200; ++i) texts.emplace_back(static_cast<std::size_t>(i) * 37, 'x');
    }
  };
  std::thread noise(allocate);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&good, i] {
      for (int start = 0; start < kStarts; ++start) {
        std::vector<std::string> texts(100, std::string(500, 'y'));
        sbx::Spec spec = shell("exit 3");
        if (i % 2 == 0) spec.init = sbx::Init::kNone;
        good += Sandbox::start(spec).wait().status == 3 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  running = false;
  noise.join();

  CHECK(good == kThreads * kStarts);
  CHECK(::prctl(PR_GET_DUMPABLE) == dumpable);
}

TEST_CASE("the program gets the descriptors that it was passed, and no other") {
  const int kept_open = ::dup(0);
  const std::string listing =
      "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' | tr '\\n' ' '";

  const std::string numbers = sbx::test::output_of(listing);

  ::close(kept_open);
  CHECK(numbers == "0 1 2 3 ");  // 3: the listing itself
}

TEST_CASE("passed descriptors reach their numbers even when these are exchanged") {
  int first[2];
  int second[2];
  REQUIRE(::pipe(first) == 0);
  REQUIRE(::pipe(second) == 0);
  sbx::Spec spec =
      shell("echo a >&" + std::to_string(second[1]) + "; echo b >&" + std::to_string(first[1]));
  spec.command.fds = {{first[1], second[1]}, {second[1], first[1]}};
  spec.init = sbx::Init::kNone;

  Sandbox::start(spec).wait();

  char letter = 0;
  REQUIRE(::read(first[0], &letter, 1) == 1);
  CHECK(letter == 'a');
  REQUIRE(::read(second[0], &letter, 1) == 1);
  CHECK(letter == 'b');
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}
