// SPDX-License-Identifier: Apache-2.0
//
// Runs a command in a sandbox, gives it input and reads what it writes.
#include <chrono>
#include <exception>
#include <iostream>

#include "sbx/sandbox.hpp"

using namespace std::chrono_literals;

int main() try {
  const sbx::Spec spec{.command = {.argv = {"sort", "--numeric-sort"}}};
  const auto [report, out, err] = sbx::run(spec, {.input = "10\n9\n8\n", .timeout = 10s});

  if (!report.ok()) {
    std::cerr << "sort ended by " << to_string(report.reason) << ", status " << report.status
              << '\n'
              << err;
    return 1;
  }
  std::cout << out;
  return out == "8\n9\n10\n" ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
