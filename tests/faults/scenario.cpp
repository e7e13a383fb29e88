// SPDX-License-Identifier: Apache-2.0
#include "faults/scenario.hpp"

#include <linux/keyctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/process.hpp"

namespace faults {

namespace fs = std::filesystem;

namespace {

fs::path built(const char* name) { return sbx::test::build_root() / "tests" / name; }

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

Ground::Ground() {
  for (const char* name : {"run", "shared", "layer", "root"}) fs::create_directory(path() / name);
  fs::permissions(run_directory(), fs::perms::owner_all);
  fs::permissions(path() / "layer", fs::perms::owner_all);
  const fs::path root = path() / "root";
  for (const char* name : {"dev", "etc", "home", "proc", "root", "run", "tmp", "usr", "var/tmp"})
    fs::create_directories(root / name);
  write(root / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  write(root / "etc/group", "root:x:0:\n");
  write(root / "etc/hosts", "");
  write(root / "etc/hostname", "");
  write(root / "probe", "");
}

std::vector<std::string> Ground::left() const {
  std::vector<std::string> found;
  for (const char* name : {"run", "shared"})
    for (const auto& entry : fs::directory_iterator(path() / name))
      found.push_back(std::string(name) + "/" + entry.path().filename().native());
  return found;
}

Scenario library(const std::string& name, const Ground& ground,
                 const std::vector<std::string>& more) {
  Scenario scenario{.name = name, .caller = Caller::kLibrary, .start = {}};
  scenario.start.argv = {built("fault_driver"), name, built("fault_probe"), ground.path()};
  scenario.start.argv.insert(scenario.start.argv.end(), more.begin(), more.end());
  scenario.start.environment = {"PATH=/usr/bin:/bin"};
  return scenario;
}

std::vector<std::string> probe_words() {
  std::vector<std::string> words = {"/probe"};
  for (const char* name : {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"}) {
    struct stat status {};
    if (::stat((std::string("/proc/self/ns/") + name).c_str(), &status) == 0)
      words.push_back(std::string(name) + "=" + std::to_string(status.st_ino));
  }
  const long keyring = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  if (keyring > 0) words.push_back("keyring=" + std::to_string(keyring));
  return words;
}

std::vector<std::string> probe_flags() {
  return {"--ro-bind", built("fault_probe").native() + ":/probe"};
}

Scenario tool(const std::string& name, const Ground& ground, std::vector<std::string> flags) {
  Scenario scenario{.name = name, .caller = Caller::kTool, .start = {}};
  std::vector<std::string>& argv = scenario.start.argv;
  argv = {sbx::test::tool("sbx-run"), "--run-dir", ground.run_directory()};
  argv.insert(argv.end(), flags.begin(), flags.end());
  const bool enters = std::find(flags.begin(), flags.end(), "--enter") != flags.end();
  if (!enters)
    for (const std::string& flag : probe_flags()) argv.push_back(flag);
  argv.emplace_back("--");
  for (const std::string& word : probe_words()) argv.push_back(word);
  scenario.start.environment = {"PATH=/usr/bin:/bin", "HOME=/"};
  return scenario;
}

std::string fault_of_error(Caller caller, const sbx::test::Ended& ended) {
  const std::string shown = " (status " + std::to_string(ended.status) + "): '" + ended.err + "'";
  const bool expected = caller == Caller::kLibrary
                            ? ended.status == 3
                            : ended.status == 125 || ended.status == 126 || ended.status == 127;
  if (!expected) return "ends otherwise than with an error" + shown;
  if (std::count(ended.err.begin(), ended.err.end(), '\n') != 1 || ended.err.back() != '\n')
    return "says not one line" + shown;
  const std::string start = caller == Caller::kLibrary ? "cannot " : "sbx-run: cannot ";
  if (ended.err.rfind(start, 0) != 0) return "says not what it cannot do" + shown;
  if (ended.err.find(": ", start.size()) == std::string::npos) return "gives no reason" + shown;
  return {};
}

std::vector<std::string> difference(const std::string& before, const std::string& after) {
  const auto one = lines_of(before);
  const auto other = lines_of(after);
  std::vector<std::string> gone;
  std::vector<std::string> come;
  std::set_difference(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(gone));
  std::set_difference(other.begin(), other.end(), one.begin(), one.end(), std::back_inserter(come));
  std::vector<std::string> all;
  for (const std::string& line : gone) all.push_back("- " + line);
  for (const std::string& line : come) all.push_back("+ " + line);
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "; ") + word;
  return text;
}

sbx::Sandbox start_named(const Ground& ground, const std::string& name) {
  fs::create_directory(ground.run_directory() / name);
  fs::permissions(ground.run_directory() / name, fs::perms::owner_all);
  sbx::Spec spec{.command = {.argv = {"sleep", "3600"}}};
  spec.mounts.emplace_back(
      sbx::Bind{.source = built("fault_probe"), .target = "/probe", .read_only = true});
  spec.control_socket = ground.run_directory() / name / "init.sock";
  return sbx::Sandbox::start(spec);
}

int processes_in(const sbx::Sandbox& sandbox) {
  std::size_t count = 0;
  sbx::test::wait_until([&] {
    count = sbx::test::pids_below(sandbox.pid()).size();
    return count <= 1;
  });
  return static_cast<int>(count);
}

bool test_all() { return std::getenv("SBX_TEST_ALL") != nullptr; }

}  // namespace faults
