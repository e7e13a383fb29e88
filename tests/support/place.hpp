// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/command.hpp"
#include "support/temp_dir.hpp"

namespace sbx::test {

/// A run directory of the test's own, and sbx-run with it.
class Place {
 public:
  [[nodiscard]] std::filesystem::path path() const { return dir_.path() / "run"; }
  [[nodiscard]] std::filesystem::path folder(const std::string& name) const {
    return path() / name;
  }
  [[nodiscard]] std::filesystem::path socket(const std::string& name) const {
    return folder(name) / "init.sock";
  }

  [[nodiscard]] std::vector<std::string> words(std::vector<std::string> more) const {
    more.insert(more.begin(), {"--run-dir", path()});
    return more;
  }

  [[nodiscard]] Start start(std::vector<std::string> more) const {
    return sbx_run_start(words(std::move(more)));
  }

  Ended run(std::vector<std::string> more) const { return sbx_run(words(std::move(more))); }

  Ended enter(const std::string& name, const std::string& script) const {
    return run({"--enter", name, "--", "/bin/sh", "-c", script});
  }

  [[nodiscard]] bool is_empty() const {
    std::error_code absent;
    return std::filesystem::is_empty(path(), absent) || absent;
  }

 private:
  TempDir dir_;
};

}  // namespace sbx::test
