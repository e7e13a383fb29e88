// SPDX-License-Identifier: Apache-2.0
//
// The probe of probe.cpp, run inside a sandbox.
#pragma once

#include <cstdlib>
#include <string>

#include "support/child.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/sandbox.hpp"

namespace sbx::test {

/// `spec` with the probe in it, and `attack` of it as the command.
inline Spec with_attack(Spec spec, std::string attack, std::string argument = {}) {
  spec.mounts.emplace_back(
      Bind{.source = build_root() / "tests/probe", .target = "/probe", .read_only = true});
  spec.command.argv = {"/probe", std::move(attack), std::move(argument)};
  return spec;
}

/// What the attack achieved in a sandbox made from `spec`; "done" and a new line end it.
inline std::string achieved(std::string attack, std::string argument = {}, Spec spec = {}) {
  return run(with_attack(std::move(spec), std::move(attack), std::move(argument))).out;
}

inline constexpr const char* kNothing = "done\n";

/// How many times a race is run: `usual`, or what SBX_RACES says.
inline int races(int usual) {
  const char* asked = std::getenv("SBX_RACES");
  return asked == nullptr ? usual : std::atoi(asked);
}

/// What `body` returns that an ordinary user runs, whoever runs the test.
template <std::invocable F>
std::string as_ordinary_user(F body) {
  return in_child([&] {
    if (::geteuid() == 0) become_user(1977);
    return body();
  });
}

}  // namespace sbx::test
