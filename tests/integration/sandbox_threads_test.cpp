// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes of several threads at once: what the library keeps between calls is nobody's alone.
// Also run under ThreadSanitizer.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <atomic>
#include <concepts>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::Sandbox;
using sbx::test::shell;

namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 4;

/// Runs body(thread, round) in every thread, and counts how often it was true. What it throws ends
/// the test program: a thread has nobody to give it to.
template <std::predicate<int, int> F>
int count_true(F body) {
  std::atomic<int> count = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < kRounds; ++round) count += body(thread, round) ? 1 : 0;
    });
  }
  threads.clear();
  return count;
}

}  // namespace

TEST_CASE("each of several threads starts, enters, signals and ends sandboxes of its own") {
  const int good = count_true([](int thread, int round) {
    Sandbox sandbox = Sandbox::start(shell("exec sleep 60"));
    sbx::Process entered = sandbox.exec({.argv = {"sh", "-c", "exit " + std::to_string(thread)}});
    const bool told = entered.wait().status == thread;
    if (round % 2 == 0) {
      sandbox.signal(SIGTERM);
    } else {
      sandbox.kill();
    }
    const sbx::Report report = sandbox.wait();
    return told && report.signal == (round % 2 == 0 ? SIGTERM : SIGKILL);
  });

  CHECK(good == kThreads * kRounds);
}

TEST_CASE("several threads run commands and each reads its own output") {
  const int good = count_true([](int thread, int round) {
    const std::string text = std::to_string(thread) + " of " + std::to_string(round);
    return sbx::test::output_of("echo '" + text + "'") == text + "\n";
  });

  CHECK(good == kThreads * kRounds);
}

TEST_CASE("starts that fail in several threads tell each thread its own failure") {
  const int dumpable = ::prctl(PR_GET_DUMPABLE);

  const int good = count_true([](int thread, int round) {
    const std::string name = "/absent-" + std::to_string(thread);
    sbx::Spec spec = shell("true");
    if (round % 2 == 0) {
      spec.command.argv = {name};
    } else {
      spec.command.workdir = name;
      spec.init = sbx::Init::kNone;
    }
    try {
      Sandbox::start(spec);
    } catch (const sbx::SystemError& error) {
      return std::string(error.what()).find("'" + name + "'") != std::string::npos;
    }
    return false;
  });

  CHECK(good == kThreads * kRounds);
  CHECK(::prctl(PR_GET_DUMPABLE) == dumpable);
}

TEST_CASE("several threads find, by their sockets, sandboxes that others have made") {
  const sbx::test::TempDir folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  std::vector<Sandbox> sandboxes;
  for (int i = 0; i < kThreads; ++i) {
    sbx::Spec spec = shell("exec sleep 60");
    spec.control_socket = folder.path() / ("socket-" + std::to_string(i));
    sandboxes.push_back(Sandbox::start(spec));
  }

  const int good = count_true([&](int thread, int round) {
    const int other = (thread + round) % kThreads;
    Sandbox found = Sandbox::open(folder.path() / ("socket-" + std::to_string(other)));
    return found.exec({.argv = {"sh", "-c", "exit 7"}}).wait().status == 7;
  });

  CHECK(good == kThreads * kRounds);
}

TEST_CASE("a sandbox that one thread has started ends in another") {
  const int good = count_true([](int, int) {
    Sandbox sandbox = Sandbox::start(shell("exec sleep 60"));
    int signal = 0;
    std::thread([&signal, owned = std::move(sandbox)]() mutable {
      owned.kill();
      signal = owned.wait().signal;
    }).join();
    return signal == SIGKILL;
  });

  CHECK(good == kThreads * kRounds);
}

TEST_CASE("several threads describe sandboxes and read profiles while others start") {
  const sbx::test::TempDir folder;
  const std::filesystem::path profile = folder.path() / "profile.json";
  std::ofstream(profile) << R"({"defaultAction": "SCMP_ACT_ALLOW"})";

  const int good = count_true([&](int thread, int) {
    sbx::Spec spec = shell("exit 0");
    spec.seccomp = thread % 2 == 0 ? sbx::SeccompFilter::from_file(profile)
                                   : sbx::SeccompFilter::strict_profile();
    return !sbx::describe(spec).empty() && sbx::run(shell("exit 0")).report.ok();
  });

  CHECK(good == kThreads * kRounds);
}
