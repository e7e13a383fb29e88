// SPDX-License-Identifier: Apache-2.0
//
// A program outside this project that uses the installed library. tests/packaging builds it with
// meson, pkg-config and CMake.
#include <exception>
#include <iostream>

#include "sbx/sandbox.hpp"

int main() try {
  const sbx::Output output = sbx::run({.command = {.argv = {"echo", "hello"}}});
  std::cout << output.out;
  return output.report.status;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
