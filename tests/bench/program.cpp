// SPDX-License-Identifier: Apache-2.0
#include "bench/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "bench/measure.hpp"
#include "sbx/fd.hpp"

namespace sbx::bench {
namespace {

constexpr std::size_t kLongestReason = 240;

/// What a program has for its standard three: memory files. Not /dev/null, because crun gives those
/// that it is started with, and so the host's device, to the user of its container.
class StandardFiles {
 public:
  StandardFiles()
      : input_(::memfd_create("input", MFD_CLOEXEC)),
        output_(::memfd_create("output", MFD_CLOEXEC)),
        errors_(::memfd_create("errors", MFD_CLOEXEC)) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input_.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions_, output_.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions_, errors_.get(), 2);
  }
  StandardFiles(const StandardFiles&) = delete;
  StandardFiles& operator=(const StandardFiles&) = delete;
  StandardFiles(StandardFiles&&) = delete;
  StandardFiles& operator=(StandardFiles&&) = delete;
  ~StandardFiles() { ::posix_spawn_file_actions_destroy(&actions_); }

  void empty() const {
    for (const UniqueFd* file : {&output_, &errors_}) {
      if (::ftruncate(file->get(), 0) < 0) throw std::runtime_error("cannot empty a memory file");
      ::lseek(file->get(), 0, SEEK_SET);
    }
  }

  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }

  /// The first line of the errors, as far as it fits into a table.
  [[nodiscard]] std::string reason() const {
    char bytes[kLongestReason + 1];
    const ssize_t size = ::pread(errors_.get(), bytes, sizeof bytes, 0);
    std::string line(bytes, size > 0 ? static_cast<std::size_t>(size) : 0);
    line = line.substr(0, line.find_first_of("\r\n"));
    for (char& c : line) {
      if (c == '|' || static_cast<unsigned char>(c) < ' ') c = ' ';
    }
    if (line.size() > kLongestReason) line.replace(kLongestReason, std::string::npos, "...");
    return line;
  }

 private:
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd errors_;
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

double time_program(const std::vector<std::string>& words) {
  static const StandardFiles files;
  files.empty();
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  const auto start = Clock::now();
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], files.actions(), nullptr, argv.data(), environ);
  if (error == ENOENT) throw CannotRun("it is not installed");
  if (error != 0) throw CannotRun(::strerror(error));
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  const double took = microseconds_since(start);

  if (status == 0) return took;
  const std::string reason = files.reason();
  throw CannotRun(reason.empty() ? fmt::format("it ends with wait status {}", status) : reason);
}

}  // namespace sbx::bench
