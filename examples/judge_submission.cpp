// SPDX-License-Identifier: Apache-2.0
//
// A judge for programming contests. The task: read two numbers, print their sum.
#include <sys/resource.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

#include "sbx/error.hpp"
#include "sbx/sandbox.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMiB = 1U << 20;

constexpr struct {
  const char* verdict;
  const char* program;
} kSubmissions[] = {
    {"OK", "read a b; echo $((a + b))"},
    {"wrong answer", "read a b; echo $((a - b))"},
    {"time limit exceeded", "while :; do :; done"},
    {"memory limit exceeded", "x=x; while :; do x=$x$x; done"},
    {"runtime error", "read a b; echo $((a / 0))"},
};

std::string judge(const std::string& program) {
  sbx::Spec spec{.command = {.argv = {"sh", "-c", program}}};
  spec.seccomp = sbx::SeccompFilter::strict_profile();
  spec.rlimits = {{RLIMIT_FSIZE, kMiB, kMiB}};
  spec.limits.memory_bytes = 64 * kMiB;
  spec.cpu_time_max = 500ms;
  const auto [report, out, err] =
      sbx::run(spec, {.input = "19 23\n", .timeout = 5s, .output_max_bytes = kMiB});

  if (report.oom_kills.value_or(0) > 0) return "memory limit exceeded";
  if (report.reason == sbx::ExitReason::kCpuTime) return "time limit exceeded";
  if (report.reason == sbx::ExitReason::kTimeout) return "time limit exceeded";
  if (!report.ok()) return "runtime error";
  return out == "42\n" ? "OK" : "wrong answer";
}

}  // namespace

int main() try {
  int misjudged = 0;
  for (const auto& submission : kSubmissions) {
    const std::string verdict = judge(submission.program);
    std::cout << verdict << ": " << submission.program << '\n';
    if (verdict != submission.verdict) ++misjudged;
  }
  return misjudged;
} catch (const sbx::SystemError& error) {
  std::cerr << error.what() << '\n';
  return error.code() == std::errc::permission_denied ? 77 : 1;  // no control group of the caller's
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
