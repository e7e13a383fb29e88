// SPDX-License-Identifier: Apache-2.0
#include "bench/peers.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <system_error>

#include "bench/floor/floor.h"

namespace sbx::bench {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

void add(Words& words, const Words& more) { words.insert(words.end(), more.begin(), more.end()); }

void add_bubblewrap_user(Words& words) {
  add(words, {"--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--cap-drop", "ALL"});
  add(words, {"--new-session", "--die-with-parent"});
}

void add_bubblewrap_system(Words& words, const Host& host) {
  for (const std::string& place : kOwnPlaces) add(words, {"--tmpfs", place});
  add(words, {"--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue"});
  for (const auto& [path, is_folder] : host.masks()) {
    if (is_folder) {
      add(words, {"--tmpfs", path});
    } else {
      add(words, {"--dev-bind", "/dev/null", path});
    }
  }
}

Words bubblewrap_own_root(const Host& host) {
  Words words = {"bwrap", "--unshare-all"};
  add_bubblewrap_user(words);
  for (const auto& [link, target] : host.links()) add(words, {"--symlink", target, link});
  for (const std::string& tree : host.trees()) add(words, {"--ro-bind", tree, tree});
  add_bubblewrap_system(words, host);
  add(words, {"--remount-ro", "/", "--chdir", "/home/sandbox", "/usr/bin/true"});
  return words;
}

/// All that sbx-run makes with this root, too. The home is on a folder of homes, as there.
Words bubblewrap_host_root(const Host& host) {
  Words words = {"bwrap", "--unshare-all", "--ro-bind", "/", "/", "--tmpfs", "/home"};
  add_bubblewrap_user(words);
  add_bubblewrap_system(words, host);
  add(words, {"--chdir", "/home/sandbox", "/usr/bin/true"});
  return words;
}

Words oci(const char* runtime, const Host& host, OciRoot root) {
  return {runtime,    "--root",   host.folder() / (std::string(runtime) + "-state"),
          "run",      "--bundle", write_bundle(host, root),
          "sbx-bench"};
}

Words firejail(const Host& host) {
  std::string etc;
  for (const std::string& tree : host.trees()) {
    const fs::path path(tree);
    if (!tree.starts_with("/etc/")) continue;
    etc += (etc.empty() ? "" : ",") + std::next(path.begin(), 2)->string();
  }
  return {"firejail",        "--quiet",
          "--noprofile",     "--net=none",
          "--ipc-namespace", "--hostname=sandbox",
          "--private",       "--private-dev",
          "--private-tmp",   fmt::format("--private-etc={}", etc),
          "--caps.drop=all", "--nonewprivs",
          "/usr/bin/true"};
}

Words nspawn() { return {"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe"}; }

Words nspawn_own_root(const Host& host) {
  Words words = nspawn();
  add(words,
      {"--directory=" + host.root().native(), "--read-only", "--private-users=268435456:65536",
       "--private-network", "--hostname=sandbox", "--resolv-conf=off", "--timezone=off",
       "--link-journal=no", "--no-new-privileges=yes"});
  for (const std::string& tree : host.trees()) words.push_back("--bind-ro=" + tree);
  for (const std::string& place : kOwnPlaces) {
    if (place != "/run") words.push_back("--tmpfs=" + place);  // there it mounts one itself
  }
  words.push_back("/usr/bin/true");
  return words;
}

Words unshare(const std::string& script) {
  return {"unshare", "--mount", "--pid",  "--fork",          "--ipc",   "--uts", "--cgroup",
          "--time",  "--net",   "--user", "--map-root-user", "/bin/sh", "-ec",   script};
}

std::string mounts_of_trees(const Host& host) {
  std::string script;
  for (const auto& [link, target] : host.links()) {
    script += fmt::format("ln -s {} .{}\n", target, link);
  }
  for (const std::string& tree : host.trees()) {
    const bool is_folder = fs::is_directory(tree);
    script +=
        fmt::format("mkdir -p .{0}\n", is_folder ? tree : fs::path(tree).parent_path().native());
    if (!is_folder) script += fmt::format(": >.{0}\n", tree);
    script += fmt::format("mount -o bind,ro,nosuid,nodev {0} .{0}\n", tree);
  }
  for (const std::string& place : kOwnPlaces) {
    script += fmt::format("mkdir -p .{0}\nmount -t tmpfs -o nosuid,nodev tmpfs .{0}\n", place);
  }
  return script;
}

/// What a shell user would write with util-linux alone.
std::string unshare_script(const Host& host) {
  std::string script = "new=" + (host.folder() / "mount").native() +
                       "\nmount -t tmpfs -o mode=0755,nosuid,nodev tmpfs $new\ncd $new\n" +
                       mounts_of_trees(host);
  script += "mkdir -p proc dev old\nmount -t proc proc proc\n";
  for (const char* device : {"null", "zero", "full", "random", "urandom", "tty"}) {
    script += fmt::format(": >dev/{0}\nmount --bind /dev/{0} dev/{0}\n", device);
  }
  for (const char* path : {"sys", "irq", "bus", "fs"}) {
    script += fmt::format("mount -o bind,ro proc/{0} proc/{0}\n", path);
  }
  for (const auto& [path, is_folder] : host.masks()) {
    script += is_folder ? "mount -t tmpfs -o ro tmpfs ." : "mount --bind dev/null .";
    script += path + "\n";
  }
  return script +
         "mkdir dev/pts dev/mqueue dev/shm\n"
         "mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts\n"
         "mount -t mqueue mqueue dev/mqueue\n"
         "mount -t tmpfs -o nosuid,nodev tmpfs dev/shm\n"
         "pivot_root . old\ncd /\numount -l old\n"
         "mount -o remount,bind,ro /\n"
         "exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all /usr/bin/true\n";
}

}  // namespace

Host::Host(fs::path folder) : folder_(std::move(folder)) {
  fs::permissions(folder_, fs::perms{0755});  // also for those whom a peer makes nobody of
  for (const char* const* tree = floor_trees; *tree != nullptr; ++tree) {
    if (fs::exists(*tree)) trees_.emplace_back(*tree);
  }
  for (const char* const* file = floor_files; *file != nullptr; ++file) {
    if (fs::is_symlink(*file) || !fs::exists(*file)) continue;
    if (fs::file_size(*file) > FLOOR_LARGEST_COPY) trees_.emplace_back(*file);
  }
  for (const char* link : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    if (fs::is_symlink(link)) links_.emplace_back(link, fs::read_symlink(link));
  }
  for (const char* const* mask = floor_masks; *mask != nullptr; ++mask) {
    const std::string path = std::string("/") + *mask;
    if (fs::exists(path)) masks_.emplace_back(path, fs::is_directory(path));
  }
  fs::create_directory(folder_ / "mount");
  make_root();
}

void Host::make_root() const {
  for (const char* path : {"proc", "dev", "sys", "root", "etc"}) {
    fs::create_directories(root() / path);
  }
  for (const std::string& place : kOwnPlaces) fs::create_directories(root() / place.substr(1));
  for (const auto& [link, target] : links_) fs::create_symlink(target, root() / link.substr(1));
  std::ofstream(root() / "etc/os-release");  // systemd-nspawn looks for it
  for (const std::string& tree : trees_) {
    const fs::path inside = root() / tree.substr(1);
    fs::create_directories(fs::is_directory(tree) ? inside : inside.parent_path());
    if (!fs::is_directory(tree)) std::ofstream{inside};
  }
}

std::vector<Peer> peers_with_own_root(const Host& host) {
  return {{"bubblewrap", bubblewrap_own_root(host)},
          {"crun", oci("crun", host, OciRoot::kOwn)},
          {"runc", oci("runc", host, OciRoot::kOwn)},
          {"firejail", firejail(host)},
          {"systemd-nspawn", nspawn_own_root(host)},
          {"unshare and a script of mounts", unshare(unshare_script(host))}};
}

Peer shortest_with_host_root() {
  return {"bubblewrap, its shortest command",
          {"bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/tmp",
           "/usr/bin/true"}};
}

std::vector<Peer> peers_with_host_root(const Host& host) {
  Words boot = nspawn();
  add(boot, {"--directory=/", "--volatile=yes", "--private-network", "/usr/bin/true"});
  return {
      {"bubblewrap, with /dev, places, masks", bubblewrap_host_root(host)},
      {"crun", oci("crun", host, OciRoot::kHost)},
      {"runc", oci("runc", host, OciRoot::kHost)},
      {"firejail",
       {"firejail", "--quiet", "--noprofile", "--net=none", "--read-only=/", "--private-tmp",
        "/usr/bin/true"}},
      {"systemd-nspawn --volatile", boot},
      {"unshare and three mounts", unshare("mount -t proc proc /proc\nmount -t tmpfs tmpfs /tmp\n"
                                           "mount -o remount,bind,ro /\nexec /usr/bin/true\n")}};
}

NspawnGroups::NspawnGroups() {
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    const std::size_t name = line.find(':') + 1;
    const std::size_t path = line.find(':', name) + 1;
    const std::string controller = line.substr(name, path - name - 1);
    if (!controller.empty() && controller != "name=systemd") continue;
    for (const char* mount :
         {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}) {
      for (const char* group : {"payload", "supervisor"}) {
        const fs::path found = fs::path(mount) / line.substr(path + 1) / group;
        if (!fs::exists(found)) absent_.push_back(found);
      }
    }
  }
}

NspawnGroups::~NspawnGroups() {
  for (const fs::path& group : absent_) ::rmdir(group.c_str());
}

}  // namespace sbx::bench
