// SPDX-License-Identifier: Apache-2.0
#include "sbx/mount.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx {

using detail::check;
using detail::printable;
using detail::throw_errno;

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestValue = 255;  // fsconfig(2) of the kernel takes no longer string

std::string quoted(const fs::path& path) { return fmt::format("'{}'", printable(path.native())); }

/// A file system in the making: options first, then mount(). See fsopen(2).
class FileSystem {
 public:
  /// `shown` is what a message calls it, such as "a tmpfs".
  FileSystem(const char* type, std::string shown);

  void set(const char* option, const std::string& value);
  void set(const char* option);
  UniqueFd mount();

 private:
  void require(long result, const std::string& detail = {}) const;
  [[nodiscard]] std::string kernel_words() const;

  std::string shown_;
  UniqueFd context_;
};

FileSystem::FileSystem(const char* type, std::string shown) : shown_(std::move(shown)) {
  const long fd = raw::fsopen(type, FSOPEN_CLOEXEC);
  require(fd);
  context_.reset(static_cast<int>(fd));
  set("source", type);
}

void FileSystem::set(const char* option, const std::string& value) {
  const bool fits = value.size() <= kLongestValue;
  require(fits ? raw::fsconfig(context_.get(), FSCONFIG_SET_STRING, option, value.c_str(), 0)
               : -ENAMETOOLONG,
          fmt::format(" with {} '{}'", option, printable(value)));
}

void FileSystem::set(const char* option) {
  require(raw::fsconfig(context_.get(), FSCONFIG_SET_FLAG, option, nullptr, 0),
          fmt::format(" with {}", option));
}

UniqueFd FileSystem::mount() {
  require(raw::fsconfig(context_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
  const long fd = raw::fsmount(context_.get(), FSMOUNT_CLOEXEC, 0);
  require(fd);
  return UniqueFd(static_cast<int>(fd));
}

void FileSystem::require(long result, const std::string& detail) const {
  if (result >= 0) return;
  throw SystemError(static_cast<int>(-result), fmt::format("cannot create {}{}", shown_, detail),
                    kernel_words());
}

/// What the kernel has to say about the failure: an error of an option is EINVAL whatever it is.
std::string FileSystem::kernel_words() const {
  std::string words;
  std::array<char, 1024> message;
  for (;;) {
    // One message a read, "e words\n" for an error, until there is none.
    const long size = raw::read(context_.get(), message.data(), message.size());
    if (size < 0) return words;
    std::string text(message.data(), static_cast<std::size_t>(size));
    if (!text.starts_with("e ")) continue;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    words +=
        fmt::format("{}{}", words.empty() ? "the kernel says: " : ", ", printable(text.substr(2)));
  }
}

void set_attributes(int fd, mount_attr change, Below below, std::string_view purpose,
                    const std::string& name) {
  const unsigned flags = AT_EMPTY_PATH | (below == Below::kAll ? unsigned{AT_RECURSIVE} : 0U);
  check(raw::mount_setattr(fd, "", flags, &change, sizeof change), "cannot {} of {}", purpose,
        name);
}

/// `path` as overlayfs reads it: in lowerdir=A:B a colon ends a path, and a backslash is removed
/// wherever it stands.
std::string escaped(const fs::path& path) {
  std::string text;
  for (const char letter : path.native()) {
    if (letter == '\\' || letter == ':') text += '\\';
    text += letter;
  }
  return text;
}

void set_lower(FileSystem& overlay, const std::vector<fs::path>& layers) {
  std::string joined;
  for (const fs::path& layer : layers) {
    joined += fmt::format("{}{}", joined.empty() ? "" : ":", escaped(layer));
  }
  if (joined.size() <= kLongestValue) return overlay.set("lowerdir", joined);

  // One by one they may be as many as the kernel likes, but not before Linux 6.8.
  for (const fs::path& layer : layers) overlay.set("lowerdir+", layer.native());
}

bool in_first_user_namespace() {
  constexpr std::uint64_t kFirstInode = 0xEFFFFFFD;  // PROC_USER_INIT_INO of the kernel
  return Namespace::current(NamespaceKind::kUser).inode() == kFirstInode;
}

}  // namespace

Mount Mount::clone(const fs::path& path, Below below) {
  const unsigned flags =
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (below == Below::kAll ? unsigned{AT_RECURSIVE} : 0U);
  std::string name = quoted(path);
  const long fd =
      check(raw::open_tree(AT_FDCWD, path.c_str(), flags), "cannot clone the mount at {}", name);
  return Mount(UniqueFd(static_cast<int>(fd)), std::move(name));
}

Mount Mount::tmpfs(const TmpfsOptions& options) {
  const std::string name = "a tmpfs";
  FileSystem tmpfs("tmpfs", name);
  if (options.size_bytes != 0) tmpfs.set("size", std::to_string(options.size_bytes));
  if (options.inodes != 0) tmpfs.set("nr_inodes", std::to_string(options.inodes));
  tmpfs.set("mode", fmt::format("{:o}", options.mode));
  return Mount(tmpfs.mount(), name);
}

Mount Mount::proc() {
  const std::string name = "a proc file system";
  return Mount(FileSystem("proc", name).mount(), name);
}

Mount Mount::devpts() {
  const std::string name = "a devpts";
  FileSystem devpts("devpts", name);
  devpts.set("newinstance");
  devpts.set("ptmxmode", "0666");
  devpts.set("mode", "620");
  return Mount(devpts.mount(), name);
}

Mount Mount::overlay(const OverlayOptions& options) {
  if (options.lower.empty()) throw std::invalid_argument("an overlay needs a lower directory");
  if (options.upper.empty() && options.lower.size() < 2) {
    throw std::invalid_argument("an overlay without an upper directory needs two lower ones");
  }
  if (options.upper.empty() != options.work.empty()) {
    throw std::invalid_argument("an overlay needs both an upper and a work directory, or neither");
  }
  const std::string name = fmt::format("an overlay over {}", quoted(options.lower.front()));
  FileSystem overlay("overlay", name);
  set_lower(overlay, options.lower);
  if (!options.upper.empty()) {
    overlay.set("upperdir", escaped(options.upper));
    overlay.set("workdir", escaped(options.work));
  }
  // trusted.* attributes, where overlayfs keeps what it has to remember, are the first user
  // namespace's alone.
  if (!in_first_user_namespace()) overlay.set("userxattr");
  return Mount(overlay.mount(), name);
}

void Mount::set(MountAttribute attributes, Below below) const {
  mount_attr change{};
  change.attr_set = static_cast<std::uint32_t>(attributes);
  set_attributes(fd(), change, below, "change the attributes", name_);
}

void Mount::clear(MountAttribute attributes, Below below) const {
  mount_attr change{};
  change.attr_clr = static_cast<std::uint32_t>(attributes);
  set_attributes(fd(), change, below, "change the attributes", name_);
}

void Mount::idmap(const Namespace& user_namespace, Below below) const {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<std::uint64_t>(user_namespace.fd());
  set_attributes(fd(), change, below, "map the ids", name_);
}

void Mount::attach(const fs::path& target) const {
  check(raw::move_mount(fd(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH),
        "cannot mount {} on {}", name_, quoted(target));
}

void make_mounts_private() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    throw_errno("cannot make the mounts private");
  }
}

void pivot_root(const fs::path& new_root) {
  const std::string name = quoted(new_root);
  const UniqueFd before(::open(".", O_PATH | O_CLOEXEC));
  if (::chdir(new_root.c_str()) < 0) throw_errno("cannot make {} the root", name);

  // The old root goes on top of the new one, so that no directory is needed to put it, and off
  // again.
  const long result = raw::pivot_root(".", ".");
  if (result < 0) {
    if (before) raw::fchdir(before.get());
    throw SystemError(static_cast<int>(-result), fmt::format("cannot make {} the root", name),
                      "it must be a mount point, and neither it nor the root a shared mount");
  }
  check(raw::umount2(".", MNT_DETACH), "cannot detach the old root");
  if (::chdir("/") < 0) throw_errno("cannot change to the new root");
}

}  // namespace sbx
