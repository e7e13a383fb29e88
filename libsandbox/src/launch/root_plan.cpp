// SPDX-License-Identifier: Apache-2.0
//
// How a sandbox's root is built, as steps for the child: the root itself, its /dev, /proc and
// places to write, then what the caller shows inside.
#include <fcntl.h>
#include <linux/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>

#include "launch/host_root.hpp"
#include "launch/network/attachment.hpp"
#include "launch/network/resolver.hpp"
#include "launch/own_places.hpp"
#include "launch/plan.hpp"
#include "launch/source_path.hpp"
#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

using child::Layer;
using child::Reach;
using child::Step;
using child::StepKind;

constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr std::uint64_t kQuietReadOnly = kQuiet | MOUNT_ATTR_RDONLY;

class RootPlanner {
 public:
  RootPlanner(const Spec& spec, Plan& plan) : spec_(spec), plan_(plan) {}

  void run() {
    open_root();
    decide_layer();
    if (root_view() == IdView::kSwapped) {
      plan_.skeleton.own_by(user());
      plan_.steps.own_by(user());
    }
    if (from_host() && plan_.setup.layer != Layer::kDirectory) plan_.steps.reach_by(Reach::kOwn);
    plan_skeleton();
    plan_trees();
    plan_scratch();
    plan_proc(spec_, plan_.identity, plan_.steps);
    plan_devices(spec_, plan_.identity, plan_.steps);
    if (plan_.group && !is_missing(kGroupPlace)) {
      plan_group(*plan_.group, from_host() ? GroupPlace::kOwnRoot : GroupPlace::kGivenRoot,
                 plan_.steps);
    }
    plan_.steps.reach_by(Reach::kInRoot);
    for (const MountPoint& mount : spec_.mounts) {
      std::visit([this](const auto& point) { plan_mount(point); }, mount);
    }
    publish();
  }

 private:
  [[nodiscard]] bool from_host() const { return spec_.root.directory.empty(); }

  /// Lists go into the skeleton while the layer has not covered the root yet.
  StepList& files() {
    return from_host() && plan_.setup.layer_covers_root ? plan_.skeleton : plan_.steps;
  }

  [[nodiscard]] Owner user() const { return {plan_.identity.user.uid, plan_.identity.user.gid}; }

  /// With a writable layer the program may write what was root's; the layer keeps that as root's.
  [[nodiscard]] IdView root_view() const {
    const bool writable = spec_.root.overlay != Root::Overlay::kNone;
    return writable && plan_.identity.user.uid != 0 ? IdView::kSwapped : IdView::kSame;
  }

  /// Makes `source` known to the child: as a detached tree where the caller may make one, or as a
  /// path that the child opens in its own namespace and compares.
  child::Source show(SourcePath& source, IdMappedTree id_mapped) {
    child::Source shown{
        .tree = -1, .path = nullptr, .device = source.status.st_dev, .inode = source.status.st_ino};
    if (!plan_.identity.privileged) {
      shown.path = plan_.steps.keep(source.real);
      return shown;
    }
    UniqueFd tree(static_cast<int>(
        check(raw::open_tree(source.fd.get(), "",
                             OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE),
              "cannot take the mount of '{}'", printable(source.path))));
    shown.tree = tree.get();
    if (plan_.identity.user_namespace) {
      id_mapped.fd = tree.get();
      id_mapped.path = source.path;
      plan_.id_mapped.push_back(std::move(id_mapped));
    }
    plan_.fds.push_back(std::move(tree));
    return shown;
  }

  /// The same for a step, with the attributes that its mount gets: from the caller together with
  /// the ids where these are mapped, and otherwise from the child.
  void show(Step& step, SourcePath& source, IdMappedTree id_mapped, std::uint64_t attributes) {
    const bool mapped = plan_.identity.privileged && plan_.identity.user_namespace;
    (mapped ? id_mapped.attributes : step.attributes) = attributes;
    step.source = show(source, id_mapped);
    step.text = plan_.steps.keep(source.path);
  }

  void open_root() {
    if (from_host()) return;
    SourcePath root = open_source_path(spec_.root.directory, "use the root");
    if (!root.is_directory()) {
      throw SystemError(ENOTDIR, fmt::format("cannot use the root '{}'", printable(root.path)));
    }
    root_fd_.reset(::fcntl(root.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!root_fd_) throw_errno("cannot use the root '{}'", printable(root.path));
    root_is_own_ = root.status.st_uid == ::geteuid();
    plan_.setup.root = show(root, IdMappedTree{.view = root_view()});
  }

  [[nodiscard]] bool root_has(const std::filesystem::path& path) const {
    return static_cast<bool>(open_in_root(path.relative_path().native(), O_PATH));
  }

  /// None for what is not there, or is nothing that can be opened so: whoever made the root chose
  /// that. What fails for want of something of the caller's is an error.
  [[nodiscard]] UniqueFd open_in_root(const std::string& path, std::uint64_t flags) const {
    const long result = raw::openat2(root_fd_.get(), path.c_str(), flags | O_CLOEXEC,
                                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -EIO) {
      throw SystemError(static_cast<int>(-result),
                        fmt::format("cannot look at '/{}' in the root '{}'", printable(path),
                                    printable(spec_.root.directory.native())));
    }
    return UniqueFd(result < 0 ? -1 : static_cast<int>(result));
  }

  /// A root that lacks a mount point gets a layer for it to be made in, and stays read-only. Where
  /// the caller could not make anything in it, the less important places are left out instead.
  [[nodiscard]] bool root_lacks_mount_point() const {
    const auto lacks = [this](const std::filesystem::path& path) { return !root_has(path); };
    if (lacks("/proc") || lacks("/dev") || lacks("/tmp")) return true;
    const bool may_add = plan_.identity.privileged || root_is_own_;
    if (may_add && (lacks("/var/tmp") || lacks("/run") || lacks(home_place()))) return true;
    return std::any_of(spec_.mounts.begin(), spec_.mounts.end(), [&](const MountPoint& mount) {
      return lacks(std::visit([](const auto& point) { return point.target; }, mount));
    });
  }

  /// Where the sandbox's own home is mounted: on the home itself, or, when a given root does not
  /// have it, on the folder of all homes.
  [[nodiscard]] std::filesystem::path home_place() const {
    const std::filesystem::path& home = plan_.identity.user.home;
    if (from_host() || root_has(home) || !home.has_parent_path()) return home;
    const std::filesystem::path parent = home.parent_path();
    return parent == "/" || !root_has(parent) ? home : parent;
  }

  /// Whoever else may write to the layer's directory decides what the sandbox sees.
  static void require_own(const SourcePath& directory) {
    const bool others_write = (directory.status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (directory.status.st_uid == ::geteuid() && !others_write) return;
    throw SystemError(EPERM,
                      fmt::format("cannot keep the overlay in '{}'", printable(directory.path)),
                      "it must be the caller's, and nobody else may write to it");
  }

  void decide_layer() {
    child::Setup& setup = plan_.setup;
    const Root& root = spec_.root;
    setup.root_read_only = root.overlay == Root::Overlay::kNone;
    if (root.overlay == Root::Overlay::kKeep) {
      SourcePath directory = open_source_path(root.overlay_directory, "keep the overlay in");
      if (!directory.is_directory()) {
        throw SystemError(
            ENOTDIR, fmt::format("cannot keep the overlay in '{}'", printable(directory.path)));
      }
      setup.layer = Layer::kDirectory;
      require_own(directory);
      setup.layer_source = show(directory, IdMappedTree{.view = root_view()});
      if (root_view() == IdView::kSwapped && !plan_.id_mapped.empty()) {
        setup.layer_uid = user().uid;  // shown so, it is root's outside
        setup.layer_gid = user().gid;
      }
      setup.layer_covers_root = true;
    } else if (root.overlay == Root::Overlay::kDiscard) {
      setup.layer = Layer::kMemory;
      setup.layer_covers_root = !from_host();  // the host root is a tmpfs already
    } else if (!from_host() && root_lacks_mount_point()) {
      setup.layer = Layer::kMemory;
      setup.layer_covers_root = true;
    }
  }

  static void add_files(StepList& list, std::vector<EtcFile> files) {
    for (EtcFile& file : files) list.file(file.path, std::move(file.contents));
  }

  /// By which names become addresses.
  [[nodiscard]] std::vector<EtcFile> name_files() const {
    auto files = host_name_files(spec_.hostname);
    if (is_attached(spec_.network)) files.push_back({"/etc/resolv.conf", read_resolver().file});
    return files;
  }

  void plan_skeleton() {
    StepList& list = files();
    for (const char* path : {"/dev", "/proc", "/etc", "/var"}) list.directory(path);
    if (!from_host()) return;
    const bool read_only = plan_.setup.layer == Layer::kNone;
    using enum Network::Mode;
    const bool host_servers = spec_.network.mode == kHost || spec_.network.mode == kUser;
    host_ = read_host_root(host_servers ? NameServers::kShown : NameServers::kLeftOut,
                           read_only ? EtcUse::kRead : EtcUse::kWrite);
    for (const HostLink& link : host_.links) list.symlink(link.path, link.leads_to);
    add_files(list, std::move(host_.files));
    add_files(list, account_files(host_.passwd, host_.group, plan_.identity.user));
    add_files(list, name_files());
    list.symlink("/var/run", "/run");
    for (const HostTree& tree : host_.trees) {
      tree.is_directory ? list.directory(tree.path) : list.file(tree.path, "");
    }
  }

  void plan_trees() {
    for (const HostTree& tree : host_.trees) {
      SourcePath source = open_source_path(tree.path, "show");
      Step& step = plan_.steps.add(StepKind::kBind, tree.path);
      show(step, source, {.view = root_view()}, root_attributes() | MOUNT_ATTR_RDONLY);
      const bool programs = tree.path.find("/etc/") != 0;
      if (programs && plan_.setup.layer != Layer::kNone) {
        Step& overlay = plan_.steps.add(StepKind::kOverlay, tree.path);
        overlay.text = plan_.steps.keep(std::filesystem::path(tree.path).filename().native());
        overlay.attributes = root_attributes();
      }
    }
  }

  /// A place to write of the sandbox's own. On a given root these lie on a tmpfs that is first
  /// mounted on /dev, and then covered by the real /dev.
  void writable_place(const std::filesystem::path& path, std::uint32_t mode, Owner owner,
                      std::uint64_t attributes) {
    if (is_missing(path)) return;
    const std::filesystem::path stored = scratch_ / path.relative_path();
    plan_.steps.directory(stored, mode, owner);
    plan_.steps.directory(path);
    plan_.steps.inside(stored, path, attributes);
  }

  /// A given root without a layer may lack a place, and does without.
  [[nodiscard]] bool is_missing(const std::filesystem::path& path) const {
    return !from_host() && !plan_.setup.layer_covers_root && !root_has(path);
  }

  void plan_home() {
    const std::filesystem::path& home = plan_.identity.user.home;
    const std::filesystem::path place = home_place();
    if (home == "/") return;
    if (place != home) {
      plan_.steps.directory(scratch_ / home.relative_path(), 0700, user());
      writable_place(place, 0755, {}, kQuiet);
    } else {
      writable_place(home, 0700, user(), kQuiet);
    }
  }

  void plan_scratch() {
    StepList& list = plan_.steps;
    if (from_host() && !plan_.setup.layer_covers_root) {
      scratch_ = "/";
    } else {
      scratch_ = "/dev/.scratch";
      list.filesystem("tmpfs", "/dev", kQuiet, {{"mode", "0755"}});
      list.directory(scratch_);
    }
    writable_place("/tmp", 01777, {}, kQuiet);
    writable_place("/var/tmp", 01777, {}, kQuiet);
    writable_place("/run", 0755, user(), kQuiet);
    plan_home();
    if (!from_host()) plan_given_etc();
    if (scratch_ != "/") {
      list.directory(scratch_ / "dev");
      list.inside(scratch_ / "dev", "/dev", MOUNT_ATTR_NOSUID);
    }
  }

  /// The text of a regular file of the given root; empty for anything else, or too much of it,
  /// which whoever made the root may have put there.
  [[nodiscard]] std::string text_in_root(const char* path) const {
    const UniqueFd file = open_in_root(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (!file) return {};
    if (::fstat(file.get(), &status) < 0) throw_errno("cannot look at '/{}' in the root", path);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (!S_ISREG(status.st_mode) || size > kLargestCopy) return {};
    return read_up_to(file, size, (spec_.root.directory / path).c_str());
  }

  /// A given root keeps its /etc, but for what depends on this sandbox.
  void plan_given_etc() {
    auto replaced =
        account_files(text_in_root("etc/passwd"), text_in_root("etc/group"), plan_.identity.user);
    for (EtcFile& file : name_files()) replaced.push_back(std::move(file));
    for (const EtcFile& file : replaced) {
      const std::filesystem::path stored =
          scratch_ / std::filesystem::path(file.path).relative_path();
      plan_.steps.file(stored, file.contents);
      if (plan_.setup.layer_covers_root) plan_.steps.file(file.path, "");
      plan_.steps.inside(stored, file.path, kQuietReadOnly);
      Step& step = plan_.steps.last();
      step.optional = true;
      step.reach = Reach::kInRoot;
    }
  }

  void plan_mount(const Tmpfs& tmpfs) {
    plan_tmpfs(checked_target(tmpfs.target), tmpfs, plan_.identity.user, plan_.steps);
  }

  void plan_mount(const Bind& bind) {
    const std::filesystem::path target = checked_target(bind.target);
    SourcePath source = open_source_path(bind.source, "bind");
    if (source.is_directory()) {
      plan_.steps.directory(target);
    } else {
      plan_.steps.file(target, "");
    }
    const bool own = source.status.st_uid == ::geteuid();
    const IdMappedTree id_mapped{.view = IdView::kOwner,
                                 .uid = source.status.st_uid,
                                 .gid = own ? ::getegid() : source.status.st_gid,
                                 .required = !bind.read_only};
    Step& step = plan_.steps.add(StepKind::kBind, target);
    show(step, source, id_mapped, bind.read_only ? kQuietReadOnly : kQuiet);
  }

  static std::filesystem::path checked_target(const std::filesystem::path& target) {
    const std::filesystem::path place = normal(target);
    if (!target.is_absolute() || place == "/") {
      throw std::invalid_argument(fmt::format(
          "the mount point '{}' is not an absolute path below '/'", printable(target.native())));
    }
    if (place == "/dev" || place == "/proc" || place.native().starts_with("/proc/")) {
      throw std::invalid_argument(fmt::format(
          "nothing can be mounted on '{}': it is the sandbox's own", printable(target.native())));
    }
    return place;
  }

  /// Set-user-id programs of the root are worth nothing, unless they were asked for.
  [[nodiscard]] std::uint64_t root_attributes() const {
    return spec_.no_new_privileges ? kQuiet : std::uint64_t{MOUNT_ATTR_NODEV};
  }

  void publish() {
    child::Setup& setup = plan_.setup;
    setup.root_attributes = root_attributes();
    std::vector<std::pair<std::string, std::string>> tmpfs = {{"mode", "0755"}};
    if (root_view() == IdView::kSwapped) {
      tmpfs.emplace_back("uid", std::to_string(user().uid));
      tmpfs.emplace_back("gid", std::to_string(user().gid));
    }
    const auto& options = plan_.steps.keep_options(tmpfs);
    setup.tmpfs_options = options.data();
    setup.tmpfs_option_count = options.size();
    setup.skeleton = plan_.skeleton.steps().data();
    setup.skeleton_count = plan_.skeleton.steps().size();
    setup.steps = plan_.steps.steps().data();
    setup.step_count = plan_.steps.steps().size();
  }

  const Spec& spec_;
  Plan& plan_;
  UniqueFd root_fd_;
  bool root_is_own_ = false;
  HostRoot host_;
  std::filesystem::path scratch_;
};

}  // namespace

void plan_root(const Spec& spec, Plan& plan) { RootPlanner(spec, plan).run(); }

}  // namespace sbx::detail
