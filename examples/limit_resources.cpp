// SPDX-License-Identifier: Apache-2.0
//
// A tenant with limits, his cron job with a share of them, and an upgrade while he runs.
#include <exception>
#include <iostream>

#include "sbx/error.hpp"
#include "sbx/sandbox.hpp"

namespace {

constexpr std::uint64_t kMiB = 1U << 20;

void show(const char* what, const sbx::Report& report) {
  std::cout << what << ": " << to_string(report.reason) << ", status " << report.status << '\n';
}

}  // namespace

int main() try {
  sbx::Spec spec;  // no command: the sandbox waits for programs to enter
  spec.limits = {.memory_bytes = 64 * kMiB, .cpus = 0.5, .pids = 16};
  sbx::Sandbox tenant = sbx::Sandbox::start(spec);

  const sbx::Command hog{.argv = {"tail", "/dev/zero"}};  // keeps all of an endless line
  const sbx::Report starved = tenant.exec(hog).wait();
  show("the application", starved);

  sbx::Command job{.argv = {"sh", "-c", "(true) & (true) & (true) & wait"}};
  job.limits.pids = 2;
  const sbx::Report refused = tenant.exec(job).wait();
  show("the cron job", refused);

  tenant.limit({.pids = 32});
  const sbx::CgroupStatistics used = tenant.statistics();
  std::cout << "at most " << used.memory_peak_bytes.value_or(0) / kMiB << " MiB, "
            << used.oom_kills.value_or(0) << " killed for want of memory\n";
  return starved.reason == sbx::ExitReason::kMemory && refused.status == 2 && used.oom_kills == 1U
             ? 0
             : 1;
} catch (const sbx::SystemError& error) {
  std::cerr << error.what() << '\n';
  return error.code() == std::errc::permission_denied ? 77 : 1;  // no control group of the caller's
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
