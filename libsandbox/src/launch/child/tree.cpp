// SPDX-License-Identifier: Apache-2.0
#include "launch/child/tree.hpp"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mount.h>

#include "sys/raw.hpp"

namespace sbx::child {
namespace {

constexpr unsigned kCloneTree =
    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
constexpr std::size_t kLongestPath = 4096;
constexpr std::uint64_t kNullDevice = 0x103;  // makedev(1, 3)

/// A descriptor that closes itself; the raw counterpart of UniqueFd.
class Fd {
 public:
  explicit Fd(long fd) noexcept : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd(Fd&&) = delete;
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) raw::close(static_cast<int>(fd_));
  }
  [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }
  [[nodiscard]] long error() const noexcept { return fd_; }
  [[nodiscard]] int get() const noexcept { return static_cast<int>(fd_); }

 private:
  long fd_;
};

/// Opens a path below `root` so that neither "..", nor any link leads out of it.
long open_inside(int root, const char* path, std::uint64_t flags, Reach reach) noexcept {
  std::uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  if (reach != Reach::kInRoot) resolve |= RESOLVE_NO_SYMLINKS;
  const char* from_root = path[0] == '\0' ? "." : path;
  long fd = -EAGAIN;
  // EAGAIN: somebody renamed a directory on the way, and the kernel cannot be sure; see openat2(2).
  for (int attempt = 0; fd == -EAGAIN && attempt < 128; ++attempt) {
    fd = raw::openat2(root, from_root, flags | O_CLOEXEC, resolve);
  }
  return fd;
}

/// The result of looking for what a step is about: an optional step may go without that, but with
/// nothing else missing.
long noted(Tree& tree, long result) noexcept {
  tree.absent = result == -ENOENT;
  return result;
}

void forget_last(Tree& tree) noexcept {
  if (tree.last.fd >= 0) raw::close(tree.last.fd);
  tree.last = {};
}

/// The directory that the step's target is made in, and in `name` the target from there on. The
/// directory is owned by the tree.
long open_parent(Tree& tree, const Step& step, const char** name) noexcept {
  const char* path = step.target;
  *name = path;
  if (step.reach == Reach::kOwn) return tree.root;
  std::size_t slash = 0;
  std::size_t size = 0;
  for (; path[size] != '\0'; ++size) {
    if (path[size] == '/') slash = size;
  }
  if (slash == 0) return tree.root;
  *name = path + slash + 1;
  if (size >= kLongestPath) return -ENAMETOOLONG;

  std::size_t same = 0;
  while (same < slash && tree.last.size == slash && tree.last.path[same] == path[same]) ++same;
  if (same == slash) return tree.last.fd;
  forget_last(tree);
  char directory[kLongestPath];
  for (std::size_t i = 0; i < slash; ++i) directory[i] = path[i];
  directory[slash] = '\0';
  const long fd = open_inside(tree.root, directory, O_PATH | O_DIRECTORY, Reach::kInRoot);
  if (fd >= 0) tree.last = {.path = path, .size = slash, .fd = static_cast<int>(fd)};
  return fd;
}

/// Where a step mounts something.
class Target {
 public:
  Target(const Tree& tree, const Step& step) noexcept
      : opened_(step.reach == Reach::kOwn
                    ? -1
                    : open_inside(tree.root, step.target, O_PATH, step.reach)),
        error_(step.reach == Reach::kOwn || opened_.ok() ? 0 : opened_.error()),
        directory_(step.reach == Reach::kOwn ? tree.root : opened_.get()),
        name_(step.reach == Reach::kOwn ? step.target : "") {}

  /// 0 or -errno of finding it.
  [[nodiscard]] long error() const noexcept { return error_; }

  long stat(struct stat* status) const noexcept {
    return raw::fstatat(directory_, name_, status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  }

  long attach(int mount) const noexcept {
    return raw::move_mount(mount, "", directory_, name_,
                           MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  }

  /// Whether it lies on a /proc. Only what was followed to may: a symbolic link of a stranger's
  /// root must not cover the sandbox's own /proc, nor a part of it.
  [[nodiscard]] bool is_on_proc() const noexcept {
    struct statfs covered {};
    return raw::fstatfs(directory_, &covered) >= 0 && covered.f_type == PROC_SUPER_MAGIC;
  }

 private:
  Fd opened_;
  long error_;
  int directory_;
  const char* name_;
};

/// Attaches `mount` to the step's target.
long attach_to_target(Tree& tree, const Step& step, long mount) noexcept {
  const Fd mounted(mount);
  if (!mounted.ok()) return mounted.error();
  const Target target(tree, step);
  if (target.error() < 0) return noted(tree, target.error());
  forget_last(tree);  // what it was may be covered now
  const bool refused = step.reach == Reach::kInRoot && target.is_on_proc();
  return refused ? -EPERM : target.attach(mounted.get());
}

/// `mount`, with the step's attributes set on all of it. A step without any brings a tree that the
/// caller has changed already.
long with_attributes(const Step& step, long mount) noexcept {
  if (mount < 0 || step.attributes == 0) return mount;
  const long result = set_attributes(static_cast<int>(mount), step.attributes);
  if (result < 0) raw::close(static_cast<int>(mount));
  return result < 0 ? result : mount;
}

long own(int directory, const char* name, const Step& step) noexcept {
  if (step.uid == Step::kLeave) return 0;
  return raw::fchownat(directory, name, step.uid, step.gid, AT_SYMLINK_NOFOLLOW);
}

/// Makes the step's target by `maker`, which gets the directory that it is made in and its name
/// there. What is there already will do.
template <typename Maker>
long make(Tree& tree, const Step& step, Maker maker) noexcept {
  const char* name = nullptr;
  const long parent = open_parent(tree, step, &name);
  if (parent < 0) return parent;
  const long result = maker(static_cast<int>(parent), name);
  return result == -EEXIST ? 0 : result;
}

long make_directory(Tree& tree, const Step& step) noexcept {
  return make(tree, step, [&](int parent, const char* name) noexcept {
    const long result = raw::mkdirat(parent, name, step.mode);
    return result < 0 ? result : own(parent, name, step);
  });
}

long make_file(Tree& tree, const Step& step) noexcept {
  return make(tree, step, [&](int parent, const char* name) noexcept -> long {
    const Fd file(
        raw::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, step.mode));
    if (!file.ok()) return file.error();
    std::size_t written = 0;
    while (written < step.size) {
      const long result = raw::write(file.get(), step.text + written, step.size - written);
      if (result < 0) return result;
      written += static_cast<std::size_t>(result);
    }
    return own(parent, name, step);
  });
}

long make_symlink(Tree& tree, const Step& step) noexcept {
  return make(tree, step, [&](int parent, const char* name) noexcept {
    return raw::symlinkat(step.text, parent, name);
  });
}

/// A copy of the mount of the device `path`, once it is certain that it is that device.
long open_device(int directory, const char* path, std::uint64_t device) noexcept {
  const long copy = raw::open_tree(directory, path, kCloneTree);
  if (copy < 0) return copy;
  struct stat status {};
  long result = raw::fstat(static_cast<int>(copy), &status);
  const bool right = S_ISCHR(status.st_mode) && status.st_rdev == device;
  if (result >= 0 && !right) result = -ENODEV;
  if (result < 0) raw::close(static_cast<int>(copy));
  return result < 0 ? result : copy;
}

long mount_filesystem(Tree& tree, const Step& step) noexcept {
  const long mount = new_filesystem(step.text, step.options, step.option_count, step.attributes);
  tree.absent = mount == -ENODEV;
  return attach_to_target(tree, step, mount);
}

long make_device(Tree& tree, const Step& step) noexcept {
  const long result = make(tree, step, [](int parent, const char* name) noexcept {
    return raw::mknodat(parent, name, S_IFREG | 0644, 0);
  });
  if (result < 0) return result;
  const long device = open_device(AT_FDCWD, step.text, step.source.device);
  return attach_to_target(tree, step, with_attributes(step, device));
}

/// A copy of the mount of what `from` is inside.
long copy_inside(const Tree& tree, const Step& step, const char* from, unsigned below) noexcept {
  if (step.reach == Reach::kOwn) return raw::open_tree(tree.root, from, kCloneTree | below);
  const Fd source(open_inside(tree.root, from, O_PATH, step.reach));
  return source.ok() ? raw::open_tree(source.get(), "", kCloneTree | below) : source.error();
}

long show_elsewhere(Tree& tree, const Step& step) noexcept {
  return attach_to_target(tree, step, with_attributes(step, copy_inside(tree, step, step.text, 0)));
}

long make_read_only(Tree& tree, const Step& step) noexcept {
  const long copy = noted(tree, copy_inside(tree, step, step.target, AT_RECURSIVE));
  return attach_to_target(tree, step, with_attributes(step, copy));
}

/// An empty read-only directory, mounted nowhere yet. All that are hidden share one.
long empty_directory(Tree& tree, const Step& step) noexcept {
  if (tree.empty < 0) {
    const long made = new_filesystem("tmpfs", step.options, step.option_count, step.attributes);
    if (made < 0) return made;
    tree.empty = static_cast<int>(made);
    return raw::fcntl(tree.empty, F_DUPFD_CLOEXEC, 0);
  }
  return raw::open_tree(tree.empty, "", kCloneTree);
}

long mask(Tree& tree, const Step& step) noexcept {
  const Target target(tree, step);
  if (target.error() < 0) return noted(tree, target.error());
  struct stat status {};
  const long result = noted(tree, target.stat(&status));
  if (result < 0) return result;
  // The sandbox's own null device, mounted with as few rights as any mask needs.
  const Fd empty(S_ISDIR(status.st_mode) ? empty_directory(tree, step)
                                         : open_device(tree.root, "dev/null", kNullDevice));
  if (!empty.ok()) return empty.error();
  return target.attach(empty.get());
}

long cover_with_overlay(Tree& tree, const Step& step) noexcept {
  const Fd lower(open_inside(tree.root, step.target, O_PATH, step.reach));
  if (!lower.ok()) return lower.error();
  return attach_to_target(tree, step,
                          with_attributes(step, new_overlay(tree, lower.get(), step.text)));
}

long write_sysctl(Tree& tree, const Step& step) noexcept {
  const Fd file(
      noted(tree, step.reach == Reach::kOwn
                      ? raw::openat(tree.root, step.target, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
                      : open_inside(tree.root, step.target, O_WRONLY, step.reach)));
  if (!file.ok()) return file.error();
  return raw::write(file.get(), step.text, step.size);
}

/// The top of the writable layer is the top of what the program sees, and so belongs to whom the
/// covered one belongs. Where that is nobody with a number inside, it stays this process's.
long make_upper(int part, int lower) noexcept {
  const long result = raw::mkdirat(part, "upper", 0755);
  if (result < 0) return result == -EEXIST ? 0 : result;
  struct stat covered {};
  const long known = raw::fstat(lower, &covered);
  if (known >= 0) raw::fchownat(part, "upper", covered.st_uid, covered.st_gid, AT_SYMLINK_NOFOLLOW);
  return known;
}

/// "/proc/self/fd/NUMBER" and what follows: how a path names what only a descriptor reaches.
class FdPath {
 public:
  explicit FdPath(int fd) noexcept {
    add("/proc/self/fd/");
    char digits[12];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + fd % 10);
      fd /= 10;
    } while (fd > 0);
    while (count > 0) text_[size_++] = digits[--count];
    text_[size_] = '\0';
  }
  FdPath& add(const char* more) noexcept {
    while (*more != '\0' && size_ + 1 < sizeof text_) text_[size_++] = *more++;
    text_[size_] = '\0';
    return *this;
  }
  [[nodiscard]] const char* text() const noexcept { return text_; }

 private:
  char text_[128];
  std::size_t size_ = 0;
};

}  // namespace

long set_attributes(int mount, std::uint64_t attributes) noexcept {
  mount_attr change{
      .attr_set = attributes, .attr_clr = 0, .propagation = MS_PRIVATE, .userns_fd = 0};
  return raw::mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change);
}

long open_source(const Source& source) noexcept {
  if (source.tree >= 0) return source.tree;
  const Fd found(raw::openat2(AT_FDCWD, source.path, O_PATH | O_CLOEXEC,
                              RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  if (!found.ok()) return found.error();
  struct stat status {};
  const long result = raw::fstat(found.get(), &status);
  if (result < 0) return result;
  if (status.st_dev != source.device || status.st_ino != source.inode) return -ESTALE;
  return raw::open_tree(found.get(), "", kCloneTree | AT_RECURSIVE);
}

long new_filesystem(const char* type, const Option* options, std::size_t count,
                    std::uint64_t attributes) noexcept {
  const Fd context(raw::fsopen(type, FSOPEN_CLOEXEC));
  if (!context.ok()) return context.error();
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned command = options[i].value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    const long result = raw::fsconfig(context.get(), command, options[i].key, options[i].value, 0);
    if (result < 0) return result;
  }
  const long result = raw::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  if (result < 0) return result;
  return raw::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
}

long attach_hidden(Tree& tree, int mount) noexcept {
  const long result = raw::move_mount(mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  if (result >= 0) ++tree.hidden;
  return result;
}

long new_overlay(const Tree& tree, int lower, const char* name) noexcept {
  // Closed to everybody outside: what is copied up keeps its set-user-id bit, and a program can
  // write into it by a shared mapping, which takes no such bit away.
  long result = raw::mkdirat(tree.layer, name, 0700);
  if (result < 0 && result != -EEXIST) return result;
  if (result >= 0 && tree.layer_uid != Step::kLeave) {
    result = raw::fchownat(tree.layer, name, tree.layer_uid, tree.layer_gid, AT_SYMLINK_NOFOLLOW);
    if (result < 0) return result;
  }
  const Fd part(raw::openat(tree.layer, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!part.ok()) return part.error();
  result = make_upper(part.get(), lower);
  if (result >= 0) result = raw::mkdirat(part.get(), "work", 0755);
  if (result < 0 && result != -EEXIST) return result;
  const FdPath lower_path(lower);
  FdPath upper_path(part.get());
  FdPath work_path(part.get());
  const Option options[] = {{"source", "overlay"},
                            {"lowerdir", lower_path.text()},
                            {"upperdir", upper_path.add("/upper").text()},
                            {"workdir", work_path.add("/work").text()},
                            {"userxattr", nullptr}};
  const std::size_t count = tree.user_namespace ? 5 : 4;
  return new_filesystem("overlay", options, count, 0);
}

long take_step(Tree& tree, const Step& step) noexcept {
  switch (step.kind) {
    case StepKind::kDirectory:
      return make_directory(tree, step);
    case StepKind::kFile:
      return make_file(tree, step);
    case StepKind::kSymlink:
      return make_symlink(tree, step);
    case StepKind::kFilesystem:
      return mount_filesystem(tree, step);
    case StepKind::kBind:
      return attach_to_target(tree, step, with_attributes(step, open_source(step.source)));
    case StepKind::kDevice:
      return make_device(tree, step);
    case StepKind::kInside:
      return show_elsewhere(tree, step);
    case StepKind::kOverlay:
      return cover_with_overlay(tree, step);
    case StepKind::kMask:
      return mask(tree, step);
    case StepKind::kReadOnly:
      return make_read_only(tree, step);
    case StepKind::kSysctl:
      return write_sysctl(tree, step);
  }
  return -ENOSYS;
}

}  // namespace sbx::child
