// SPDX-License-Identifier: Apache-2.0
#include "support/process.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace sbx::test {

namespace fs = std::filesystem;

std::vector<std::pair<int, std::string>> open_fds() {
  const fs::path directory = fs::canonical("/proc/self/fd");

  std::vector<std::pair<int, std::string>> found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const fs::path target = fs::read_symlink(entry);
    const bool the_iterators_own = target == directory;
    if (!the_iterators_own) found.emplace_back(std::stoi(entry.path().filename()), target.native());
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path build_root() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path(); }

fs::path tool(std::string_view name) { return build_root() / "tools" / name / name; }

int processes_with(const std::string& mark) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (name == std::to_string(::getpid())) continue;
    std::ifstream file(entry.path() / "cmdline");
    const std::string words{std::istreambuf_iterator<char>(file), {}};
    if (words.find(mark) != std::string::npos) ++count;
  }
  return count;
}

}  // namespace sbx::test
