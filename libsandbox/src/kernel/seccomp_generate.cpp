// SPDX-License-Identifier: Apache-2.0
//
// Runs while the library is built: writes the programs of the built-in profiles as constant arrays,
// because libseccomp takes milliseconds to compile them. Usage: seccomp_generate ARCH FILE.
#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/seccomp_condense.hpp"
#include "kernel/seccomp_profile.hpp"

namespace sbx::detail {
namespace {

void write_array(std::ostream& out, std::string_view name,
                 const std::vector<sock_filter>& program) {
  out << fmt::format("\nconstexpr sock_filter {}[] = {{\n", name);
  for (const sock_filter& step : program) {
    out << fmt::format("    {{{:#04x}, {}, {}, {:#x}}},\n", step.code, step.jt, step.jf, step.k);
  }
  out << "};\n";
}

/// A name that is spelled wrongly would be left out without a word.
std::vector<sock_filter> condense_known(const SeccompProfile& profile, std::uint32_t architecture) {
  for (const std::vector<SeccompRule>& rules : {profile.refusals, profile.rules}) {
    for (const SeccompRule& rule : rules) {
      if (!is_known_call(rule.call)) {
        throw std::invalid_argument(fmt::format("unknown system call '{}'", rule.call));
      }
    }
  }
  return condense(profile, architecture);
}

void generate(const std::string& architecture_name, const std::string& path) {
  const std::uint32_t architecture = seccomp_arch_resolve_name(architecture_name.c_str());
  if (architecture == 0) {
    throw std::invalid_argument(fmt::format("unknown architecture '{}'", architecture_name));
  }

  // What this kernel can do says nothing about the kernels that the programs will run on. Level 3
  // has the action that ends the whole process (Linux 4.14).
  seccomp_api_set(3);

  std::ofstream out(path);
  out << fmt::format("// Made by seccomp_generate for {}: do not edit.\n", architecture_name);
  write_array(out, "kDefaultProgram", condense_known(default_seccomp_profile(), architecture));
  write_array(out, "kStrictProgram", condense_known(strict_seccomp_profile(), architecture));
  write_array(out, "kSetIdProgram", condense_known(set_id_seccomp_profile(), architecture));
  out.close();
  if (!out) throw std::runtime_error(fmt::format("cannot write '{}'", path));
}

}  // namespace
}  // namespace sbx::detail

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: seccomp_generate ARCH FILE\n");
    return 2;
  }
  try {
    sbx::detail::generate(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "seccomp_generate: {}\n", error.what());
    return 1;
  }
}
