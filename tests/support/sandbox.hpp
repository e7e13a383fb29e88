// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sbx/sandbox.hpp"

namespace sbx::test {

/// A Spec that runs `script` by the shell.
inline Spec shell(std::string script) {
  return {.command = {.argv = {"/bin/sh", "-c", std::move(script)}}};
}

/// What `script` writes to its standard output, run in a sandbox made from `spec`.
inline std::string output_of(std::string script, Spec spec = {}) {
  spec.command.argv = {"/bin/sh", "-c", std::move(script)};
  return run(std::move(spec)).out;
}

}  // namespace sbx::test
