// SPDX-License-Identifier: Apache-2.0
#include "launch/step_list.hpp"

#include <linux/mount.h>

namespace sbx::detail {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

const char* StepList::keep(std::string text) {
  return texts_.emplace_back(std::move(text)).c_str();
}

const std::vector<child::Option>& StepList::keep_options(
    const std::vector<std::pair<std::string, std::string>>& options) {
  std::vector<child::Option>& kept = options_.emplace_back();
  for (const auto& [key, value] : options) {
    kept.push_back({.key = keep(key), .value = value.empty() ? nullptr : keep(value)});
  }
  return kept;
}

child::Step& StepList::add(child::StepKind kind, const std::string& path) {
  child::Step& step = steps_.emplace_back();
  step.kind = kind;
  step.reach = reach_;
  step.target = keep(path.substr(path.starts_with('/') ? 1 : 0));
  return step;
}

void StepList::directory(const std::string& path, std::uint32_t mode, std::optional<Owner> owner) {
  if (path.empty() || path == "/" || made_.contains(path)) return;
  directory(parent_of(path));
  child::Step& step = add(child::StepKind::kDirectory, path);
  step.mode = mode;
  step.uid = owner.value_or(owner_).uid;
  step.gid = owner.value_or(owner_).gid;
  made_.insert(path);
}

void StepList::file(const std::string& path, std::string contents) {
  directory(parent_of(path));
  child::Step& step = add(child::StepKind::kFile, path);
  step.size = contents.size();
  step.text = keep(std::move(contents));
  step.mode = 0644;
  step.uid = owner_.uid;
  step.gid = owner_.gid;
}

void StepList::symlink(const std::string& path, const std::string& leads_to) {
  directory(parent_of(path));
  add(child::StepKind::kSymlink, path).text = keep(leads_to);
}

void StepList::filesystem(const char* type, const std::string& path, std::uint64_t attributes,
                          std::vector<std::pair<std::string, std::string>> options) {
  child::Step& step = add(child::StepKind::kFilesystem, path);
  step.text = type;
  step.attributes = attributes;
  const auto& kept = keep_options(options);
  step.options = kept.data();
  step.option_count = kept.size();
}

void StepList::device(const std::string& path, const char* outside, std::uint64_t number) {
  child::Step& step = add(child::StepKind::kDevice, path);
  step.text = outside;
  step.source.device = number;
  // Read-only: it is the host's own node, whose mode and owner its owner inside could change. What
  // is written to the device is not held up by it. Masks are copies of this mount.
  step.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
}

void StepList::inside(const std::string& from, const std::string& path, std::uint64_t attributes) {
  child::Step& step = add(child::StepKind::kInside, path);
  step.text = keep(from.substr(1));
  step.attributes = attributes;
}

}  // namespace sbx::detail
