// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <iostream>
#include <sbx/sandbox.hpp>

int main() try {
  sbx::Spec spec{.command = {.argv = {"sort", "--numeric-sort"}}};
  spec.seccomp = sbx::SeccompFilter::strict_profile();
  spec.cpu_time_max = std::chrono::seconds(1);

  const auto [report, out, err] = sbx::run(spec, {.input = "10\n9\n8\n"});

  std::cout << out << err;
  return report.status;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 125;
}
