// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <concepts>
#include <exception>
#include <stdexcept>
#include <string>

namespace sbx::test {

/// Runs `body` in a child process, for what would spoil the test process, and returns the string
/// that it returns; what() of what it throws instead, and nothing when the child was killed.
template <std::invocable F>
std::string in_child(F body) {
  int ends[2];
  if (::pipe(ends) < 0) throw std::runtime_error("cannot make a pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    std::string said;
    try {
      said = body();
    } catch (const std::exception& error) {
      said = error.what();
    }
    ::_exit(::write(ends[1], said.data(), said.size()) < 0 ? 1 : 0);
  }

  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t size; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(size));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

}  // namespace sbx::test
