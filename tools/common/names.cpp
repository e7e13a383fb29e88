// SPDX-License-Identifier: Apache-2.0
#include "common/names.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/socket_address.hpp"

namespace tools {
namespace {

using sbx::UniqueFd;
using sbx::detail::printable;
using sbx::detail::throw_errno;

constexpr std::size_t kLongestName = 64;
constexpr const char* kRunDirectory = "/run/sandbox";

/// The one that the command line or the environment names.
std::optional<std::filesystem::path> told_directory(const std::string& given,
                                                    const char* variable) {
  if (!given.empty()) return std::filesystem::absolute(given);
  const char* configured = std::getenv(variable);
  if (configured == nullptr || *configured == '\0') return std::nullopt;
  return std::filesystem::absolute(configured);
}

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

/// Opens a sandbox's folder; none when it is not there.
UniqueFd open_folder(const std::filesystem::path& folder) {
  return UniqueFd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// Whether somebody listens on the socket in `folder`.
bool is_listening(const UniqueFd& folder) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return true;
  const auto address = sbx::detail::address_in(folder.get(), "init.sock").value();
  const int result =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

/// Takes the lock that whoever uses `folder` holds. False when another has it.
bool lock(const UniqueFd& folder) { return ::flock(folder.get(), LOCK_EX | LOCK_NB) == 0; }

void remove_folder(const std::filesystem::path& folder) noexcept {
  ::unlink((folder / "init.sock").c_str());
  ::rmdir(folder.c_str());
}

/// Waits until the user of `folder` is gone, and removes it; not that of a later one who has taken
/// the name in the meantime.
void sweep(const std::filesystem::path& run_directory, const std::filesystem::path& folder) {
  const UniqueFd left = open_folder(folder);
  if (!left || ::flock(left.get(), LOCK_EX) < 0) return;
  const UniqueFd directory = open_folder(run_directory);
  if (!directory || ::flock(directory.get(), LOCK_EX) < 0) return;
  struct stat held {};
  struct stat named {};
  if (::fstat(left.get(), &held) == 0 && ::lstat(folder.c_str(), &named) == 0 &&
      held.st_ino == named.st_ino) {
    remove_folder(folder);
  }
}

}  // namespace

std::filesystem::path run_directory(const std::string& given) {
  if (const auto told = told_directory(given, "SBX_RUN_DIR")) return *told;
  if (::geteuid() == 0) return kRunDirectory;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return std::filesystem::path(runtime) / "sandbox";
  throw std::invalid_argument(
      "there is no directory for a named sandbox: set XDG_RUNTIME_DIR, SBX_RUN_DIR or --run-dir");
}

std::filesystem::path network_directory(const std::string& given) {
  return told_directory(given, "SBX_RUN_DIR").value_or(kRunDirectory);
}

std::filesystem::path state_directory(const std::string& given) {
  return told_directory(given, "SBX_STATE_DIR").value_or("/var/lib/sandbox");
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
  // Before there is anything to sweep: this process may be killed at any time.
  sweeper_.emplace([run_directory, folder = folder_] { sweep(run_directory, folder); });
  // Two who take one name at once must not both find it free.
  if (::flock(directory.get(), LOCK_EX) < 0)
    throw_errno("cannot lock '{}'", printable(run_directory.native()));
  try {
    take(name);
  } catch (const std::exception&) {
    sweeper_->cancel();  // the folder is another's
    throw;
  }
}

void Claim::take(const std::string& name) {
  if (const UniqueFd old = open_folder(folder_)) {
    if (!lock(old) || is_listening(old)) {
      throw sbx::SystemError(EEXIST, fmt::format("cannot name the sandbox '{}'", name),
                             "one of that name runs");
    }
    remove_folder(folder_);
  }
  if (::mkdir(folder_.c_str(), 0700) < 0) {
    throw_errno("cannot make the sandbox's folder '{}'", printable(folder_.native()));
  }
  held_ = open_folder(folder_);
  if (!held_ || !lock(held_)) {
    throw_errno("cannot lock the sandbox's folder '{}'", printable(folder_.native()));
  }
}

}  // namespace tools
