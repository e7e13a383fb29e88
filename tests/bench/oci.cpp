// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/peers.hpp"

namespace sbx::bench {
namespace {

using Json = nlohmann::json;

Json mount(const std::string& target, const std::string& type, const Json& options,
           const std::string& source) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", options}};
}

Json tmpfs(const std::string& target, const char* mode) {
  return mount(target, "tmpfs", {"nosuid", "nodev", mode}, "tmpfs");
}

Json mounts_of(const Host& host, OciRoot root) {
  Json mounts = {mount("/proc", "proc", {"nosuid", "nodev", "noexec"}, "proc")};
  if (root == OciRoot::kHost) {
    mounts.push_back(tmpfs("/tmp", "mode=1777"));
    mounts.push_back(tmpfs("/dev", "mode=755"));  // the runtimes make devices whether or not
    return mounts;
  }
  for (const std::string& tree : host.trees()) {
    mounts.push_back(mount(tree, "bind", {"bind", "ro", "nosuid", "nodev"}, tree));
  }
  for (const std::string& place : kOwnPlaces) mounts.push_back(tmpfs(place, "mode=1777"));
  mounts.push_back(tmpfs("/dev", "mode=755"));
  mounts.push_back(mount("/dev/pts", "devpts",
                         {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
                         "devpts"));
  mounts.push_back(tmpfs("/dev/shm", "mode=1777"));
  mounts.push_back(mount("/dev/mqueue", "mqueue", {"nosuid", "nodev", "noexec"}, "mqueue"));
  return mounts;
}

Json linux_of(const Host& host, OciRoot root) {
  const Json map = {{{"containerID", 0}, {"hostID", 268435456}, {"size", 65536}}};
  Json linux_part = {{"uidMappings", map},
                     {"gidMappings", map},
                     // Where the runtime wants one, it is one of ours and of nobody else.
                     {"cgroupsPath", "/sbx-bench"}};
  for (const char* kind : {"pid", "network", "ipc", "uts", "mount", "cgroup", "user"}) {
    linux_part["namespaces"].push_back({{"type", kind}});
  }
  if (root == OciRoot::kHost) return linux_part;
  for (const auto& [path, is_folder] : host.masks()) linux_part["maskedPaths"].push_back(path);
  linux_part["readonlyPaths"] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                 "/proc/sysrq-trigger"};
  return linux_part;
}

}  // namespace

std::filesystem::path write_bundle(const Host& host, OciRoot root) {
  const bool own = root == OciRoot::kOwn;
  const std::filesystem::path bundle = host.folder() / (own ? "bundle" : "bundle-of-host");
  std::filesystem::create_directory(bundle);
  const Json config = {{"ociVersion", "1.0.2"},
                       {"process",
                        {{"user", {{"uid", 1000}, {"gid", 1000}}},
                         {"args", {"/usr/bin/true"}},
                         {"env", {"PATH=/usr/bin:/bin"}},
                         {"cwd", "/"},
                         {"capabilities", Json::object()},
                         {"noNewPrivileges", true}}},
                       {"root", {{"path", own ? host.root().native() : "/"}, {"readonly", true}}},
                       {"hostname", "sandbox"},
                       {"mounts", mounts_of(host, root)},
                       {"linux", linux_of(host, root)}};
  std::ofstream(bundle / "config.json") << config;
  return bundle;
}

}  // namespace sbx::bench
