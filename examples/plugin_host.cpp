// SPDX-License-Identifier: Apache-2.0
//
// A host that keeps a plugin in a sandbox and talks to it over a socket pair. The plugin is this
// program once more, shown inside at its own path, and so is the library that it is linked with.
#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <iostream>

#include "sbx/sandbox.hpp"

namespace fs = std::filesystem;
constexpr int kChannel = 3;

static int plugin() {
  int number = 0;
  while (::read(kChannel, &number, sizeof number) == sizeof number) {
    number *= number;
    if (::write(kChannel, &number, sizeof number) != sizeof number) return 1;
  }
  return 0;
}

static sbx::Bind at_its_own_path(const fs::path& file) {
  const fs::path target = fs::canonical(file.parent_path()) / file.filename();
  return {.source = fs::canonical(file), .target = target, .read_only = true};
}

static int host() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return 1;
  sbx::UniqueFd ours(ends[0]), theirs(ends[1]);
  const fs::path program = fs::read_symlink("/proc/self/exe");
  Dl_info library;
  ::dladdr(reinterpret_cast<const void*>(&sbx::run), &library);
  sbx::Spec spec{.command = {.argv = {program, "plugin"}}};
  spec.command.fds.push_back({.outer = theirs.get(), .inner = kChannel});
  spec.mounts = {at_its_own_path(program), at_its_own_path(library.dli_fname)};
  spec.seccomp = sbx::SeccompFilter::strict_profile();
  sbx::Sandbox sandbox = sbx::Sandbox::start(spec);
  theirs.reset();

  int number = 12;
  const bool talked = ::write(ours.get(), &number, sizeof number) == sizeof number &&
                      ::read(ours.get(), &number, sizeof number) == sizeof number;
  ours.reset();
  std::cout << "the plugin says " << number << '\n';
  return talked && number == 144 && sandbox.wait().ok() ? 0 : 1;
}

int main(int argc, char** /*argv*/) try {
  return argc > 1 ? plugin() : host();
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
