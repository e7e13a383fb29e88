// SPDX-License-Identifier: Apache-2.0
//
// What a vassal file says, laid over a Spec.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "host/names.hpp"
#include "sbx/host/vassal.hpp"
#include "sys/error.hpp"

namespace sbx::host {
namespace {

constexpr const char* kSandboxName = "sandbox";
constexpr std::uint32_t kSandboxUser = 1000;

User plain_user(std::uint32_t uid, std::uint32_t gid, std::string name) {
  return {.uid = uid, .gid = gid, .name = std::move(name), .home = {}, .groups = {}};
}

/// An account of the host, by getpwnam_r(3) or getpwuid_r(3).
template <typename Key>
std::optional<User> find_account(int (*look_up)(Key, passwd*, char*, std::size_t, passwd**),
                                 Key key) {
  std::vector<char> buffer(65536);
  passwd entry{};
  passwd* found = nullptr;
  if (look_up(key, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return plain_user(found->pw_uid, found->pw_gid, found->pw_name);
}

User account_of(const VassalFile& file) {
  const std::string& name = *file.sandbox.user;
  const auto user = find_account(::getpwnam_r, name.c_str());
  if (!user) {
    throw std::invalid_argument(
        fmt::format("{}: there is no user '{}'", locate(file, "sandbox.user"), name));
  }
  if (user->uid == 0) {
    throw std::invalid_argument(
        fmt::format("{}: '{}' is root", locate(file, "sandbox.user"), name));
  }
  return *user;
}

/// Who a program is where the file does not say it: as without a file.
User default_user() {
  if (::geteuid() == 0) return plain_user(kSandboxUser, kSandboxUser, kSandboxName);
  const auto account = find_account(::getpwuid_r, ::geteuid());
  return plain_user(::geteuid(), ::getegid(), account ? account->name : kSandboxName);
}

void apply_user(const VassalFile& file, Spec& spec) {
  if (file.sandbox.user) spec.user = account_of(file);
  if (!file.sandbox.uid) return;
  const std::string name = file.tenant();
  spec.user = plain_user(*file.sandbox.uid, *file.sandbox.uid,
                         detail::is_user_name(name) ? name : kSandboxName);
}

void apply_home(const VassalFile& file, Spec& spec) {
  if (!file.sandbox.home) return;
  if (!spec.user) spec.user = default_user();
  if (spec.user->name.empty()) spec.user->name = kSandboxName;
  spec.user->home = std::filesystem::path("/home") / spec.user->name;
  spec.command.workdir = spec.user->home;
  spec.mounts.emplace_back(
      Bind{.source = *file.sandbox.home, .target = spec.user->home, .read_only = false});
}

void set_variable(const std::string& variable, std::vector<std::string>& environment) {
  const std::string start = variable.substr(0, variable.find('=') + 1);
  std::erase_if(environment, [&](const std::string& old) { return old.starts_with(start); });
  environment.push_back(variable);
}

template <typename From, typename To>
void take(const std::optional<From>& from, To& to) {
  if (from) to = *from;
}

/// Parses each text of the list `key`; a fault is told with its place in the file.
template <typename T>
std::vector<T> parse_all(const VassalFile& file, const char* key,
                         const std::vector<std::string>& texts) {
  std::vector<T> values;
  for (const std::string& text : texts) {
    try {
      values.push_back(T::parse(text));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("{}: {}", locate(file, key), error.what()));
    }
  }
  return values;
}

void append(auto& list, auto more) {
  list.insert(list.end(), std::make_move_iterator(more.begin()),
              std::make_move_iterator(more.end()));
}

/// Who may reach something, or is reached, is connected to the host's network.
void apply_network(const VassalFile& file, Spec& spec) {
  const VassalNetwork& given = file.network;
  Network& network = spec.network;
  append(network.publish, parse_all<PublishedPort>(file, "network.publish", given.publish));
  append(network.allow, parse_all<Destination>(file, "network.allow", given.allow));
  append(network.deny, parse_all<Destination>(file, "network.deny", given.deny));
  take(given.rate_bits_per_second, network.rate_bits_per_second);
  network.internet = given.internet.value_or(false);
  network.name = file.tenant();
  if (network.internet || !given.publish.empty() || !given.allow.empty()) {
    network.mode = Network::Mode::kRouted;
  }
}

}  // namespace

void apply(const VassalFile& file, const std::filesystem::path& distros, Spec& spec) {
  const VassalSandbox& sandbox = file.sandbox;
  apply_user(file, spec);
  if (sandbox.distro) {
    spec.root.directory = *sandbox.distro == "host" ? "" : distros / *sandbox.distro;
  }
  apply_home(file, spec);
  spec.mounts.insert(spec.mounts.end(), sandbox.binds.begin(), sandbox.binds.end());
  take(sandbox.hostname, spec.hostname);
  take(sandbox.memory_bytes, spec.limits.memory_bytes);
  take(sandbox.cpus, spec.limits.cpus);
  take(sandbox.cpu_weight, spec.limits.cpu_weight);
  take(sandbox.pids, spec.limits.pids);
  take(sandbox.memory_merge, spec.memory_merge);
  for (const std::string& variable : sandbox.environment) {
    set_variable(variable, spec.command.environment);
  }
  apply_network(file, spec);
}

}  // namespace sbx::host
