// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "launch/failure.hpp"
#include "launch/group.hpp"
#include "launch/plan.hpp"
#include "sbx/namespace.hpp"
#include "sbx/sandbox.hpp"
#include "sys/error.hpp"

namespace sbx {
namespace {

using detail::Plan;

constexpr std::array kKinds = {NamespaceKind::kUser,   NamespaceKind::kMount, NamespaceKind::kPid,
                               NamespaceKind::kNet,    NamespaceKind::kIpc,   NamespaceKind::kUts,
                               NamespaceKind::kCgroup, NamespaceKind::kTime};

std::string namespaces_of(const Plan& plan) {
  std::string names;
  for (const NamespaceKind kind : kKinds) {
    if ((plan.namespaces & static_cast<std::uint64_t>(kind)) == 0) continue;
    names += fmt::format(" {}", to_string(kind));
  }
  return names;
}

std::string map_text(const IdMap& map) {
  std::string text;
  for (const IdRange& range : map) {
    text += fmt::format(" {}:{}:{}", range.inside, range.outside, range.count);
  }
  return text;
}

std::string words_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + detail::printable(word);
  return text;
}

}  // namespace

std::string describe(const Spec& spec) {
  Plan plan;
  detail::compile(spec, plan);
  detail::plan_root(spec, plan);
  const detail::Identity& identity = plan.identity;
  std::string text = fmt::format("namespaces:{}\n", namespaces_of(plan));
  if (identity.user_namespace) {
    text += fmt::format("users (inside:outside:count):{}\n", map_text(identity.uids));
    text += fmt::format("groups (inside:outside:count):{}\n", map_text(identity.gids));
  }
  text += fmt::format("hostname: {}\n", spec.hostname);
  for (const auto* steps : {&plan.skeleton.steps(), &plan.steps.steps()}) {
    for (const child::Step& step : *steps) text += detail::step_text(step) + "\n";
  }
  text += fmt::format("root: {}\n", plan.setup.root_read_only ? "read-only" : "writable");
  text += fmt::format("user: {} ({}:{}), home {}\n", identity.user.name, identity.user.uid,
                      identity.user.gid, detail::printable(identity.user.home.native()));
  text += fmt::format("capabilities:{}\n", words_text(identity.capabilities.names()));
  text += detail::describe_group(spec.limits);
  if (spec.network.mode == Network::Mode::kUser) text += "network: pasta\n";
  text += fmt::format("no_new_privs: {}\n", spec.no_new_privileges ? "yes" : "no");
  text += fmt::format("seccomp: {} instructions\n", spec.seccomp.size());
  text += fmt::format("process 1: {}\n", spec.init == Init::kYes ? "the init" : "the command");
  text += fmt::format("command:{}\n", words_text(spec.command.argv));
  return text;
}

}  // namespace sbx
