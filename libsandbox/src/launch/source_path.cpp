// SPDX-License-Identifier: Apache-2.0
#include "launch/source_path.hpp"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <deque>
#include <optional>
#include <utility>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

constexpr int kMostLinks = 40;  // as the kernel has it

/// One walk along a path, that remembers where it is.
class Walk {
 public:
  Walk(const std::filesystem::path& path, const char* what) : path_(path.native()), what_(what) {
    if (path_.empty()) fail(ENOENT);
    if (path_.size() >= PATH_MAX) fail(ENAMETOOLONG);
    here_.reset(::open(path_[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!here_) fail(errno);
    look();
    push_front(path_);
  }

  SourcePath run() {
    while (!rest_.empty()) {
      const std::string name = std::move(rest_.front());
      rest_.pop_front();
      step(name);
    }
    char real[PATH_MAX];
    const std::string link = fmt::format("/proc/self/fd/{}", here_.get());
    const ssize_t size = ::readlink(link.c_str(), real, sizeof real);
    if (size < 0) throw_errno("cannot find where '{}' is", printable(path_));
    return {.fd = std::move(here_),
            .path = path_,
            .real = std::string(real, static_cast<std::size_t>(size)),
            .status = status_};
  }

 private:
  [[noreturn]] void fail(int errno_value, const std::string& cure = {}) const {
    throw SystemError(errno_value, fmt::format("cannot {} '{}'", what_, printable(path_)), cure);
  }

  void look() {
    if (::fstat(here_.get(), &status_) < 0) fail(errno);
  }

  void push_front(const std::string& path) {
    std::deque<std::string> names;
    for (const auto& name : std::filesystem::path(path)) {
      if (!name.empty() && name != "/" && name != ".") names.push_back(name.native());
    }
    rest_.insert(rest_.begin(), names.begin(), names.end());
  }

  void step(const std::string& name) {
    UniqueFd next(::openat(here_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next) fail(errno);
    const struct stat directory = status_;
    std::swap(here_, next);
    look();
    if (!S_ISLNK(status_.st_mode)) return;

    require_safe_link(directory, name);
    if (++links_ > kMostLinks) fail(ELOOP);
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(here_.get(), "", target, sizeof target);
    if (size < 0) fail(errno);
    if (target[0] == '/') {
      here_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!here_) fail(errno);
    } else {
      here_ = std::move(next);
    }
    look();
    push_front(std::string(target, static_cast<std::size_t>(size)));
  }

  /// A link is somebody's word about where to go; only root's and the caller's are taken.
  void require_safe_link(const struct stat& directory, const std::string& name) const {
    const auto trusted = [](uid_t uid) { return uid == 0 || uid == ::geteuid(); };
    const bool own_group = directory.st_gid == 0 || directory.st_gid == ::getegid();
    const bool others_write =
        (directory.st_mode & S_IWOTH) != 0 || ((directory.st_mode & S_IWGRP) != 0 && !own_group);
    const bool sticky = (directory.st_mode & S_ISVTX) != 0;
    if (trusted(directory.st_uid) && (!others_write || (sticky && trusted(status_.st_uid)))) return;
    fail(ELOOP,
         fmt::format("the symbolic link '{}' on the way stands in a directory that others may "
                     "write: name the place that it leads to",
                     printable(name)));
  }

  std::string path_;
  const char* what_;
  UniqueFd here_;
  struct stat status_ {};
  std::deque<std::string> rest_;
  int links_ = 0;
};

/// The same in one step, for a path that is plainly written as the kernel would say it and has no
/// symbolic link on the way; nothing for any other.
std::optional<SourcePath> open_plain_path(const std::filesystem::path& path) {
  const std::string& text = path.native();
  const bool dotted = text.find("/.") != std::string::npos;
  if (!text.starts_with('/') || text.ends_with('/') || dotted ||
      text.find("//") != std::string::npos) {
    return {};
  }
  UniqueFd fd(static_cast<int>(raw::openat2(AT_FDCWD, path.c_str(), O_PATH | O_CLOEXEC,
                                            RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) < 0) return {};
  return SourcePath{.fd = std::move(fd), .path = text, .real = text, .status = status};
}

}  // namespace

SourcePath open_source_path(const std::filesystem::path& path, const char* what) {
  if (auto plain = open_plain_path(path)) return std::move(*plain);
  return Walk(path, what).run();
}

}  // namespace sbx::detail
