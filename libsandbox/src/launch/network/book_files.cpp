// SPDX-License-Identifier: Apache-2.0
#include "launch/network/book_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 100;
constexpr const char* kNew = ".new";  // what is not yet whole

/// Opens a directory that is the caller's and that nobody else may write to; makes it first.
UniqueFd own_directory(int parent, const std::string& name) {
  const auto open = [&] {
    return UniqueFd(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  UniqueFd fd = open();
  if (!fd && errno == ENOENT) {
    if (::mkdirat(parent, name.c_str(), 0700) < 0 && errno != EEXIST) {
      throw_failed("make the directory", parent, name);
    }
    fd = open();
  }
  if (!fd) throw_failed("open the directory", parent, name);
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) throw_failed("look at", parent, name);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw SystemError(EPERM, fmt::format("cannot use the directory '{}'", place_of(parent, name)),
                      "it must be the caller's, and nobody else may write to it");
  }
  return fd;
}

void write_new(const UniqueFd& directory, const std::string& name, const std::string& text) {
  const UniqueFd fd(
      ::openat(directory.get(), kNew, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const ssize_t size = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  if (size == static_cast<ssize_t>(text.size())) return;
  const int error = size < 0 ? errno : ENOSPC;
  ::unlinkat(directory.get(), kNew, 0);
  throw SystemError(error, fmt::format("cannot write '{}'", place_of(directory.get(), name)));
}

}  // namespace

std::string place_of(int directory, const std::string& name) {
  if (directory == AT_FDCWD) return printable(name);
  std::error_code unknown;
  const fs::path parent = fs::read_symlink(fmt::format("/proc/self/fd/{}", directory), unknown);
  return printable((parent / name).native());
}

void throw_failed(const char* verb, int directory, const std::string& name) {
  const int error = errno;
  throw SystemError(error, fmt::format("cannot {} '{}'", verb, place_of(directory, name)));
}

UniqueFd own_top(const fs::path& top) {
  const fs::path path = fs::absolute(top).lexically_normal();
  if (path.has_parent_path()) {
    std::error_code ignored;  // the next step says it better
    fs::create_directories(path.parent_path(), ignored);
  }
  return own_directory(AT_FDCWD, path.native());
}

UniqueFd directory_below(const UniqueFd& top, const fs::path& path) {
  UniqueFd found(
      ::openat(top.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (found) return found;
  int parent = top.get();
  for (const fs::path& name : path) {
    found = own_directory(parent, name.native());
    parent = found.get();
  }
  return found;
}

UniqueFd lock_directory(const UniqueFd& top, const fs::path& path) {
  for (int attempt = 1;; ++attempt) {
    UniqueFd found;
    try {
      found = directory_below(top, path);
    } catch (const SystemError& error) {
      if (error.code().value() != ENOENT || attempt == kAttempts) throw;
      continue;  // while it was made
    }
    while (::flock(found.get(), LOCK_EX) < 0) {
      if (errno != EINTR) throw_errno("cannot lock the book of addresses");
    }
    struct stat status {};
    if (::fstat(found.get(), &status) == 0 && status.st_nlink > 0) return found;
  }
}

std::optional<std::string> read_file(const UniqueFd& directory, const std::string& name) {
  const UniqueFd fd(::openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw_failed("open", directory.get(), name);
  std::string text;
  std::array<char, 4096> bytes{};
  for (ssize_t size = -1; size != 0;) {
    size = ::read(fd.get(), bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) throw_failed("read", directory.get(), name);
    if (size > 0) text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return text;
}

void write_file(const UniqueFd& directory, const std::string& name, const std::string& text) {
  write_new(directory, name, text);
  if (::renameat(directory.get(), kNew, directory.get(), name.c_str()) < 0) {
    throw_failed("write", directory.get(), name);
  }
}

void remove_file(const UniqueFd& directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    throw_failed("remove", directory.get(), name);
  }
}

void remove_unfinished(const UniqueFd& directory) noexcept { ::unlinkat(directory.get(), kNew, 0); }

bool has_file(const UniqueFd& directory, const std::string& name) {
  struct stat status {};
  return ::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string read_link(const UniqueFd& directory, const std::string& name) {
  std::array<char, 256> text{};
  const ssize_t size = ::readlinkat(directory.get(), name.c_str(), text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

// By getdents64(2), because readdir(3) reads hundreds ahead, of which who asks whether there is any
// wants one.
bool walk(const UniqueFd& directory, const std::function<bool(const std::string&)>& each) {
  const UniqueFd copy(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy) throw_errno("cannot read the book of addresses");
  alignas(dirent64) std::array<char, 512> bytes{};
  for (;;) {
    const ssize_t size = ::getdents64(copy.get(), bytes.data(), bytes.size());
    if (size < 0) throw_errno("cannot read the book of addresses");
    if (size == 0) return false;
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(bytes.data() + at);
      at += entry->d_reclen;
      if (entry->d_name[0] != '.' && !each(std::string(entry->d_name))) return true;
    }
  }
}

}  // namespace sbx::detail
