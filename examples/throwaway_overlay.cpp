// SPDX-License-Identifier: Apache-2.0
//
// Lets a program change a root file system as it likes; the changes vanish with the sandbox.
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "sbx/sandbox.hpp"

namespace fs = std::filesystem;

namespace {

/// A root of a few directories; its programs are to be the host's, bound at /usr.
struct TemporaryRoot {
  TemporaryRoot() {
    std::string name = fs::temp_directory_path() / "throwaway-XXXXXX";
    path = ::mkdtemp(name.data());
    for (const char* directory : {"dev", "etc", "proc", "tmp", "usr"})
      fs::create_directory(path / directory);
    for (const char* link : {"bin", "lib", "lib64"})
      fs::create_directory_symlink(fs::path("usr") / link, path / link);
    std::ofstream(path / "etc/motd") << "as it was\n";
  }
  ~TemporaryRoot() { fs::remove_all(path); }

  fs::path path;
};

std::string read(const fs::path& file) {
  std::string line;
  std::getline(std::ifstream(file), line);
  return line;
}

}  // namespace

int main() try {
  const TemporaryRoot root;

  sbx::Spec spec{.command = {.argv = {"sh", "-c", "echo changed > /etc/motd; cat /etc/motd"}}};
  spec.root = {.directory = root.path, .overlay = sbx::Root::Overlay::kDiscard};
  spec.mounts = {sbx::Bind{.source = "/usr", .target = "/usr", .read_only = true}};
  spec.user = sbx::User{.uid = 0, .gid = 0};
  const auto output = sbx::run(spec);

  const std::string outside = read(root.path / "etc/motd");
  std::cout << "inside: " << output.out << "outside: " << outside << '\n' << output.err;
  return output.out == "changed\n" && outside == "as it was" ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
