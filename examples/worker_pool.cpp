// SPDX-License-Identifier: Apache-2.0
//
// Four threads take twenty jobs from a queue; each job runs in a sandbox of its own.
#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sbx/sandbox.hpp"

namespace {

constexpr int kThreads = 4;
constexpr int kJobs = 20;

std::string square(int number) {
  const std::string text = std::to_string(number);
  return sbx::run({.command = {.argv = {"sh", "-c", "echo $(($0 * $0))", text}}}).out;
}

class Pool {
 public:
  /// Runs every job and returns the results in the order of the jobs.
  std::vector<std::string> run() {
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < kThreads; ++i) threads.emplace_back([this] { work(); });
    }
    return std::move(results_);
  }

 private:
  void work() noexcept try {
    for (int job = next_++; job < kJobs; job = next_++) results_[job] = square(job);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
  }

  std::atomic<int> next_ = 0;
  std::vector<std::string> results_ = std::vector<std::string>(kJobs);
};

}  // namespace

int main() {
  const std::vector<std::string> results = Pool().run();

  int wrong = 0;
  for (int job = 0; job < kJobs; ++job) {
    std::cout << job << ": " << results[job];
    if (results[job] != std::to_string(job * job) + "\n") ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}
