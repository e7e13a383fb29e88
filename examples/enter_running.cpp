// SPDX-License-Identifier: Apache-2.0
//
// Starts an empty sandbox and runs two commands in it, which share its /tmp.
#include <exception>
#include <iostream>

#include "sbx/sandbox.hpp"

int main() try {
  sbx::Sandbox sandbox = sbx::Sandbox::start({.hostname = "workshop"});

  const sbx::Report write = sandbox.exec({.argv = {"sh", "-c", "hostname > /tmp/note"}}).wait();
  const sbx::Report read = sandbox.exec({.argv = {"grep", "workshop", "/tmp/note"}}).wait();

  sandbox.kill();
  const sbx::Report end = sandbox.wait();
  std::cout << "the sandbox ended by " << to_string(end.reason) << '\n';
  return write.ok() && read.ok() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
