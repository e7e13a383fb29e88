// SPDX-License-Identifier: Apache-2.0
//
// Lets a child process change a directory as it likes, and keeps the directory as it is: the child
// sees an overlay over it, in a mount namespace of its own. Needs no privilege.
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sbx/mount.hpp>
#include <sbx/namespace.hpp>
#include <stdexcept>
#include <string>

namespace fs = std::filesystem;

namespace {

std::string first_line(const fs::path& path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

void change_in_overlay(const sbx::Namespace& users, const fs::path& dir) {
  users.enter();  // this process may mount there
  if (::unshare(CLONE_NEWNS) < 0) throw std::runtime_error("cannot unshare the mounts");
  sbx::make_mounts_private();
  sbx::Mount::overlay({.lower = {dir / "data"}, .upper = dir / "changes", .work = dir / "work"})
      .attach(dir / "data");
  std::ofstream(dir / "data/file") << "changed\n";
  std::cout << "inside:  " << first_line(dir / "data/file") << std::endl;
  fs::permissions(dir / "work/work", fs::perms::owner_all);  // or it could not be removed
}

}  // namespace

int main() try {
  char name[] = "/tmp/mount_overlay.XXXXXX";
  const fs::path dir = ::mkdtemp(name);
  for (const char* part : {"data", "changes", "work"}) fs::create_directory(dir / part);
  std::ofstream(dir / "data/file") << "original\n";
  const auto users = sbx::Namespace::create_user({{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}});

  const pid_t child = ::fork();
  if (child == 0) return change_in_overlay(users, dir), 0;
  int status = 0;
  ::waitpid(child, &status, 0);
  std::cout << "outside: " << first_line(dir / "data/file") << '\n';
  fs::remove_all(dir);
  return status == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "mount_overlay: " << error.what() << '\n';
  return 1;
}
