// SPDX-License-Identifier: Apache-2.0
#include "common/names.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "sys/error.hpp"

namespace tools {
namespace {

using sbx::UniqueFd;
using sbx::detail::printable;
using sbx::detail::throw_errno;

constexpr std::size_t kLongestName = 64;

/// Makes the run directory, or makes sure that an old one is the caller's alone.
UniqueFd open_run_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) {
    throw_errno("cannot make the run directory '{}'", printable(path.native()));
  }
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw_errno("cannot open the run directory '{}'", printable(path.native()));
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) throw_errno("cannot look at '{}'", printable(path.native()));
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw sbx::SystemError(
        EPERM, fmt::format("cannot use the run directory '{}'", printable(path.native())),
        "it must be the caller's, and nobody else may write to it");
  }
  return fd;
}

/// Whether somebody listens on the socket of `folder`.
bool is_alive(const std::filesystem::path& folder) {
  const UniqueFd directory(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!directory || !socket) return true;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/init.sock", directory.get());
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int result =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

/// Gives this process a name of its own in /proc/PID/cmdline, too: who kills every sbx-run by its
/// name shall not hit the one that tidies up after it.
void rename_process(const char* name) {
  ::prctl(PR_SET_NAME, name);
  const UniqueFd cmdline(::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> words;
  const ssize_t size = ::read(cmdline.get(), words.data(), words.size());
  if (size <= 0) return;
  // The words of argv lie one after the other, from the first on.
  std::fill_n(program_invocation_name, size, '\0');
  std::string_view(name).copy(program_invocation_name, static_cast<std::size_t>(size) - 1);
}

void remove_folder(const std::filesystem::path& folder) noexcept {
  ::unlink((folder / "init.sock").c_str());
  ::rmdir(folder.c_str());
}

}  // namespace

std::filesystem::path run_directory(const std::string& given) {
  if (!given.empty()) return std::filesystem::absolute(given);
  const char* configured = std::getenv("SBX_RUN_DIR");
  if (configured != nullptr && *configured != '\0') return std::filesystem::absolute(configured);
  if (::geteuid() == 0) return "/run/sandbox";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return std::filesystem::path(runtime) / "sandbox";
  throw std::invalid_argument(
      "there is no directory for a named sandbox: set XDG_RUNTIME_DIR, SBX_RUN_DIR or --run-dir");
}

void require_name(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  const bool good = !name.empty() && name.size() <= kLongestName &&
                    std::isalnum(static_cast<unsigned char>(name[0])) != 0 &&
                    std::all_of(name.begin(), name.end(), allowed);
  if (!good) {
    throw std::invalid_argument(
        fmt::format("'{}' is no name for a sandbox: letters, digits, '.', '_' and '-', at most {}",
                    printable(name), kLongestName));
  }
}

std::filesystem::path socket_of(const std::filesystem::path& run_directory,
                                const std::string& name) {
  require_name(name);
  return run_directory / name / "init.sock";
}

Claim::Claim(const std::filesystem::path& run_directory, const std::string& name) {
  require_name(name);
  folder_ = run_directory / name;
  const UniqueFd directory = open_run_directory(run_directory);
  // Two who take one name at once must not both find it free.
  if (::flock(directory.get(), LOCK_EX) < 0)
    throw_errno("cannot lock '{}'", run_directory.native());
  bool made = ::mkdir(folder_.c_str(), 0700) == 0;
  if (!made && errno == EEXIST && !is_alive(folder_)) {
    remove_folder(folder_);
    made = ::mkdir(folder_.c_str(), 0700) == 0;
  }
  if (!made) {
    const int errno_value = errno;
    throw sbx::SystemError(errno_value, fmt::format("cannot name the sandbox '{}'", name),
                           errno_value == EEXIST ? "one of that name runs" : "");
  }
  start_sweeper();
}

void Claim::start_sweeper() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) throw_errno("cannot make a pipe");
  UniqueFd end(ends[0]);
  alive_.reset(ends[1]);
  sweeper_ = ::fork();
  if (sweeper_ < 0) throw_errno("cannot start the process that tidies up");
  if (sweeper_ > 0) return;

  // From here on in the sweeper: it holds nothing but its end of the pipe, and outlives whatever
  // ends the others.
  ::setsid();
  rename_process("sbx-sweeper");
  ::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    ::signal(signal, SIG_IGN);
  }
  const int pipe = end.release();
  ::dup2(pipe, 0);
  ::close_range(1, ~0U, 0);
  char byte = 0;
  while (::read(0, &byte, 1) < 0 && errno == EINTR) {
  }
  remove_folder(folder_);
  ::_exit(0);
}

Claim::~Claim() {
  alive_.reset();
  ::waitpid(sweeper_, nullptr, 0);
}

}  // namespace tools
