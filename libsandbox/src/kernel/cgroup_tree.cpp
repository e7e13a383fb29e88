// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_tree.hpp"

#include <algorithm>
#include <map>

#include "sys/error.hpp"
#include "sys/proc_file.hpp"

namespace sbx::detail {
namespace {

/// Places outside of what the caller's cgroup namespace shows begin with it.
constexpr std::string_view kOutside = "/..";

std::string_view name_in_v1(Controller controller) {
  return controller == Controller::kIo ? "blkio" : to_string(controller);
}

/// Cuts the first field off `text`, which `separator` ends.
std::string_view take_field(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) parts.emplace_back(take_field(text, separator));
  return parts;
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// mountinfo writes blanks and backslashes as a backslash and three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string first_line_of(const std::filesystem::path& path) {
  std::string text = read_file(path);
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

/// Where in each hierarchy a process is, by the names of the hierarchy's controllers; "" is that of
/// version 2. See cgroups(7), "/proc/[pid]/cgroup".
std::map<std::string, std::string> places_in(std::string_view text) {
  std::map<std::string, std::string> places;
  while (!text.empty()) {
    std::string_view line = take_field(text, '\n');
    take_field(line, ':');
    const std::string_view controllers = take_field(line, ':');
    if (controllers.empty()) places[""] = line;
    for (const std::string& name : split(controllers, ',')) places[name] = line;
  }
  return places;
}

/// One line of mountinfo; see proc_pid_mountinfo(5).
struct MountLine {
  explicit MountLine(std::string_view line) {
    for (int i = 0; i < 3; ++i) take_field(line, ' ');
    root = unescaped(take_field(line, ' '));
    point = unescaped(take_field(line, ' '));
    const std::size_t after = line.find(" - ");
    line.remove_prefix(
        std::min(after == std::string_view::npos ? line.size() : after + 3, line.size()));
    type = take_field(line, ' ');
    take_field(line, ' ');
    options = line;
  }
  std::string root;
  std::string point;
  std::string_view type;
  std::string_view options;  // of the file system
};

/// Adds the hierarchy that is mounted there, if the process's place can be reached by it.
void add_mounted(const MountLine& mount, const std::map<std::string, std::string>& places,
                 std::vector<CgroupHierarchy>& found) {
  CgroupHierarchy hierarchy;
  hierarchy.unified = mount.type == "cgroup2";
  const std::string* place = nullptr;
  if (hierarchy.unified) {
    const auto it = places.find("");
    if (it != places.end()) place = &it->second;
  } else {
    for (const std::string& option : split(mount.options, ',')) {
      const auto it = places.find(option);
      if (it == places.end() || option.empty()) continue;
      hierarchy.controllers.push_back(option);
      place = &it->second;
    }
  }
  if (place == nullptr || place->starts_with(kOutside)) return;
  const bool known = std::any_of(found.begin(), found.end(), [&](const CgroupHierarchy& other) {
    return other.unified == hierarchy.unified && other.controllers == hierarchy.controllers;
  });
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (known || !place->starts_with(root)) return;
  const std::string below = place->substr(root.size());
  if (!below.empty() && below[0] != '/') return;
  hierarchy.mount = mount.point;
  hierarchy.own = below.empty() || below == "/" ? mount.point : mount.point + below;
  found.push_back(std::move(hierarchy));
}

/// Whether the process's group in `hierarchy` has `controller`.
bool offers(const CgroupHierarchy& hierarchy, Controller controller) {
  if (!hierarchy.unified) return hierarchy.has(name_in_v1(controller));
  const auto offered = split(first_line_of(hierarchy.own / "cgroup.controllers"), ' ');
  return std::find(offered.begin(), offered.end(), to_string(controller)) != offered.end();
}

}  // namespace

bool CgroupHierarchy::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

CgroupTree CgroupTree::of(const std::string& pid, const std::filesystem::path& proc) {
  const auto places = places_in(read_file(proc / pid / "cgroup"));
  const std::string mounts = read_file(proc / "self/mountinfo");
  CgroupTree tree;
  for (std::string_view rest = mounts; !rest.empty();) {
    const MountLine mount(take_field(rest, '\n'));
    if (mount.type == "cgroup" || mount.type == "cgroup2") {
      add_mounted(mount, places, tree.hierarchies_);
    }
  }
  std::stable_partition(tree.hierarchies_.begin(), tree.hierarchies_.end(),
                        [](const CgroupHierarchy& hierarchy) { return hierarchy.unified; });
  return tree;
}

CgroupTree CgroupTree::of_caller() {
  CgroupTree tree = of("self");
  const CgroupHierarchy* v2 = tree.unified();
  if (v2 == nullptr || v2->own.filename() != kCallersLeaf) return tree;
  return tree.below(v2->own.parent_path());
}

const CgroupHierarchy* CgroupTree::unified() const {
  const bool mounted = !hierarchies_.empty() && hierarchies_.front().unified;
  return mounted ? &hierarchies_.front() : nullptr;
}

std::vector<Controller> CgroupTree::controllers_in(const CgroupHierarchy& hierarchy) {
  using enum Controller;
  std::vector<Controller> found;
  for (const Controller controller : {kCpu, kCpuset, kHugetlb, kIo, kMemory, kPids}) {
    if (offers(hierarchy, controller)) found.push_back(controller);
  }
  return found;
}

const CgroupHierarchy& CgroupTree::with(Controller controller) const {
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    if (!hierarchy.unified && offers(hierarchy, controller)) return hierarchy;
  }
  const CgroupHierarchy* v2 = unified();
  if (v2 == nullptr) {
    throw SystemError(
        ENOENT,
        fmt::format("cannot find the control groups' controller '{}'", to_string(controller)),
        "its hierarchy is not mounted");
  }
  if (offers(*v2, controller)) return *v2;
  const std::string offered = first_line_of(v2->own / "cgroup.controllers");
  throw SystemError(
      ENOENT,
      fmt::format("cannot use the controller '{}' in '{}', which has {}", to_string(controller),
                  printable(v2->own.native()), offered.empty() ? "none" : printable(offered)),
      "let it be delegated, by Delegate=yes in the unit say");
}

CgroupTree CgroupTree::without_unified() const {
  CgroupTree tree = *this;
  if (unified() != nullptr) tree.hierarchies_.erase(tree.hierarchies_.begin());
  return tree;
}

CgroupTree CgroupTree::below(const std::filesystem::path& own) const {
  CgroupTree tree = *this;
  if (unified() != nullptr) tree.hierarchies_.front().own = own;
  return tree;
}

}  // namespace sbx::detail
