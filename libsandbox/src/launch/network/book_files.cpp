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
#include <climits>
#include <filesystem>
#include <utility>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 100;

/// Where the file is written before it is whole: beside it.
std::string unfinished(const std::string& name) {
  return name.substr(0, name.rfind('/') + 1) + ".new";
}

UniqueFd open_directory(int parent, const std::string& name) {
  return UniqueFd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// `fd`, opened as that, if it is the caller's and nobody else may write to it.
UniqueFd own(UniqueFd fd, int parent, const std::string& name) {
  if (!fd) throw_failed("open the directory", parent, name);
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) throw_failed("look at", parent, name);
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw SystemError(EPERM, fmt::format("cannot use the directory '{}'", place_of(parent, name)),
                      "it must be the caller's, and nobody else may write to it");
  }
  return fd;
}

void lock(const UniqueFd& directory) {
  while (::flock(directory.get(), LOCK_EX) < 0) {
    if (errno != EINTR) throw_errno("cannot lock the book of addresses");
  }
}

UniqueFd make_own(int parent, const std::string& name) {
  make_directory(parent, name);
  return own(open_directory(parent, name), parent, name);
}

void write_new(const UniqueFd& directory, const std::string& name, const std::string& text) {
  const std::string place = unfinished(name);
  const UniqueFd fd(::openat(directory.get(), place.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const ssize_t size = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  if (size == static_cast<ssize_t>(text.size())) return;
  const int error = size < 0 ? errno : ENOSPC;
  ::unlinkat(directory.get(), place.c_str(), 0);
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

void make_directory(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0700) < 0 && errno != EEXIST) {
    throw_failed("make the directory", parent, name);
  }
}

std::string normal_path(const fs::path& path) {
  std::string text = path.native();
  const auto has = [&text](const char* part) { return text.find(part) != std::string::npos; };
  // Most are already: to take them apart takes as long as to open them.
  if (!text.starts_with('/') || has("//") || has("/.")) {
    text = fs::absolute(path).lexically_normal().native();
  }
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

UniqueFd own_top(const std::string& path) {
  UniqueFd found = open_directory(AT_FDCWD, path);
  if (found || errno != ENOENT) return own(std::move(found), AT_FDCWD, path);
  std::error_code ignored;  // the next step says it better
  fs::create_directories(fs::path(path).parent_path(), ignored);
  return make_own(AT_FDCWD, path);
}

UniqueFd directory_below(const UniqueFd& top, const std::string& path) {
  UniqueFd found = open_directory(top.get(), path);
  if (found) return found;
  int parent = top.get();
  for (const fs::path& name : fs::path(path)) {
    found = make_own(parent, name.native());
    parent = found.get();
  }
  return found;
}

UniqueFd lock_directory(const UniqueFd& top, const std::string& path) {
  for (int attempt = 1;; ++attempt) {
    UniqueFd found;
    try {
      found = directory_below(top, path);
    } catch (const SystemError& error) {
      if (error.code().value() != ENOENT || attempt == kAttempts) throw;
      continue;  // while it was made
    }
    lock(found);
    struct stat status {};
    if (::fstat(found.get(), &status) == 0 && status.st_nlink > 0) return found;
  }
}

DirectoryLock::DirectoryLock(const UniqueFd& directory) : directory_(directory) { lock(directory); }

DirectoryLock::~DirectoryLock() { ::flock(directory_.get(), LOCK_UN); }

std::optional<std::string> read_file(const UniqueFd& directory, const std::string& name) {
  const UniqueFd fd(::openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd && errno == ELOOP) return read_link(directory, name);
  if (!fd) throw_failed("open", directory.get(), name);
  std::string text;
  std::array<char, 4096> bytes;
  ssize_t size = 0;
  do {
    size = ::read(fd.get(), bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) throw_failed("read", directory.get(), name);
    if (size > 0) text.append(bytes.data(), static_cast<std::size_t>(size));
  } while (size != 0);
  return text;
}

void create_file(const UniqueFd& directory, const std::string& name, const std::string& text) {
  if (::symlinkat(text.c_str(), directory.get(), name.c_str()) == 0) return;
  if (errno == EEXIST) throw_failed("write", directory.get(), name);
  write_file(directory, name, text);
}

void write_file(const UniqueFd& directory, const std::string& name, const std::string& text) {
  write_new(directory, name, text);
  if (::renameat(directory.get(), unfinished(name).c_str(), directory.get(), name.c_str()) < 0) {
    throw_failed("write", directory.get(), name);
  }
}

void remove_file(const UniqueFd& directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    throw_failed("remove", directory.get(), name);
  }
}

void remove_unfinished(const UniqueFd& directory, const std::string& name) noexcept {
  ::unlinkat(directory.get(), unfinished(name).c_str(), 0);
}

bool has_file(const UniqueFd& directory, const std::string& name) {
  struct stat status {};
  return ::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string read_link(const UniqueFd& directory, const std::string& name) {
  std::array<char, PATH_MAX> text;
  const ssize_t size = ::readlinkat(directory.get(), name.c_str(), text.data(), text.size());
  return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

// By getdents64(2), because readdir(3) reads hundreds ahead, of which who asks whether there is any
// wants one.
bool walk(const UniqueFd& top, const std::string& directory,
          const std::function<bool(const std::string&)>& each) {
  const UniqueFd opened = open_directory(top.get(), directory);
  if (!opened && errno == ENOENT) return false;
  if (!opened) throw_errno("cannot read the book of addresses");
  alignas(dirent64) std::array<char, 512> bytes{};
  for (;;) {
    const ssize_t size = ::getdents64(opened.get(), bytes.data(), bytes.size());
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
