// SPDX-License-Identifier: Apache-2.0
//
// From the words of the command line to a Spec.
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/names.hpp"
#include "common/units.hpp"
#include "sbx-run/config.hpp"
#include "sbx-run/options.hpp"
#include "sys/error.hpp"
#include "sys/number.hpp"
#include "sys/raw.hpp"

namespace sbx_run {
namespace {

using sbx::detail::printable;

constexpr std::uint32_t kHighestId = 0xfffffffe;
constexpr std::uint64_t kMostProcesses = 4194304;

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

/// Runs `body`, and puts the flag's name before what it says.
template <typename Body>
void of_flag(const char* flag, Body body) {
  try {
    body();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", flag, error.what()));
  }
}

/// "SRC[:DST]" at its first colon.
std::pair<std::string, std::string> split(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

sbx::Bind parse_bind(const std::string& text, bool read_only) {
  const auto [source, target] = split(text);
  if (source.empty()) refuse(fmt::format("'{}' names no source", printable(text)));
  if (target.empty() && text.find(':') != std::string::npos) {
    refuse(fmt::format("'{}' names no place after the colon", printable(text)));
  }
  const std::filesystem::path place = target.empty()
                                          ? std::filesystem::absolute(source).lexically_normal()
                                          : std::filesystem::path(target);
  return {.source = source, .target = place, .read_only = read_only};
}

sbx::Tmpfs parse_tmpfs(const std::string& text) {
  const auto [target, size] = split(text);
  sbx::Tmpfs tmpfs{.target = target};
  if (text.find(':') != std::string::npos) tmpfs.size_bytes = tools::parse_size(size);
  return tmpfs;
}

void add_mount(const std::string& word, sbx::Spec& spec) {
  const std::size_t space = word.find(' ');
  const std::string kind = word.substr(0, space);
  const std::string value = word.substr(space + 1);
  of_flag(("--" + kind).c_str(), [&] {
    if (kind == "tmpfs") {
      spec.mounts.emplace_back(parse_tmpfs(value));
    } else {
      spec.mounts.emplace_back(parse_bind(value, kind == "ro-bind"));
    }
  });
}

/// The list of users in a root that a stranger may have made: no link leads out of it, and nothing
/// but a file of a sensible size is read.
std::string passwd_of(const std::filesystem::path& rootfs) {
  constexpr auto kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const std::filesystem::path root = rootfs.empty() ? "/" : rootfs;
  const sbx::UniqueFd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const sbx::UniqueFd file(static_cast<int>(sbx::raw::openat2(
      directory.get(), "etc/passwd", kFlags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return {};
  std::string text(std::size_t{1} << 20, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

/// The line of a passwd file for `name`, or for the number `id` where there is one, as a user.
std::optional<sbx::User> user_in(std::istream& passwd, const std::string& name,
                                 std::optional<std::uint64_t> id) {
  for (std::string line; std::getline(passwd, line);) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
      if (c == ':') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    if (fields.size() < 7 || (!id && fields[0] != name)) continue;
    const auto uid = sbx::detail::parse_unsigned(fields[2], kHighestId);
    const auto gid = sbx::detail::parse_unsigned(fields[3], kHighestId);
    if (!uid || !gid || (id && *uid != *id)) continue;
    return sbx::User{.uid = static_cast<std::uint32_t>(*uid),
                     .gid = static_cast<std::uint32_t>(*gid),
                     .name = fields[0],
                     .home = *uid == 0 ? "/root" : fields[5],
                     .groups = {}};
  }
  return std::nullopt;
}

sbx::User numbered_user(std::uint64_t id) {
  const auto uid = static_cast<std::uint32_t>(id);
  return {.uid = uid, .gid = uid, .name = {}, .home = {}, .groups = {}};
}

sbx::User parse_user(const std::string& text, const std::filesystem::path& rootfs) {
  const auto [first, second] = split(text);
  const bool has_group = text.find(':') != std::string::npos;
  const auto gid = sbx::detail::parse_unsigned(second, kHighestId);
  if (has_group && !gid) refuse(fmt::format("'{}' is no group id", printable(second)));
  const auto uid = sbx::detail::parse_unsigned(first, kHighestId);
  std::istringstream passwd(passwd_of(rootfs));
  auto user = user_in(passwd, first, uid);
  if (!user && uid) user = numbered_user(*uid);
  if (!user && first == "root") user = numbered_user(0);
  if (!user && first == "sandbox") user = numbered_user(1000);
  if (!user) refuse(fmt::format("there is no user '{}'", printable(first)));
  if (uid) user->gid = user->uid;  // a number says nothing about groups
  if (has_group) user->gid = static_cast<std::uint32_t>(*gid);
  return *user;
}

void interpret_root(const Arguments& arguments, sbx::Spec& spec) {
  if (!arguments.rootfs.empty()) spec.root.directory = arguments.rootfs;
  if (arguments.overlay == "true") {
    spec.root.overlay = sbx::Root::Overlay::kDiscard;
  } else if (!arguments.overlay.empty()) {
    spec.root.overlay = sbx::Root::Overlay::kKeep;
    spec.root.overlay_directory = arguments.overlay;
  }
  for (const std::string& mount : arguments.mounts) add_mount(mount, spec);
}

void set_variable(const std::string& variable, std::vector<std::string>& environment) {
  const std::size_t equals = variable.find('=');
  if (equals == std::string::npos || equals == 0) {
    refuse(fmt::format("'{}' is not NAME=VALUE", printable(variable)));
  }
  const std::string start = variable.substr(0, equals + 1);
  std::erase_if(environment, [&](const std::string& old) { return old.starts_with(start); });
  environment.push_back(variable);
}

void keep_variable(const std::string& name, std::vector<std::string>& environment) {
  const char* value = std::getenv(name.c_str());
  if (value != nullptr) set_variable(name + "=" + value, environment);
}

void interpret_environment(const Arguments& arguments, sbx::Spec& spec) {
  std::vector<std::string>& environment = spec.command.environment;
  const std::vector<std::string> configured = std::move(environment);
  environment.clear();
  for (const char* name : {"PATH", "TERM", "LANG", "TZ"}) keep_variable(name, environment);
  // Root's home is not there inside, and the command is not root.
  const bool ordinary = ::geteuid() != 0 && !spec.user && arguments.enter.empty();
  if (ordinary) keep_variable("HOME", environment);
  for (const std::string& variable : configured) set_variable(variable, environment);
  for (const std::string& name : arguments.kept_environment) {
    if (name.empty() || name.find('=') != std::string::npos) {
      refuse(fmt::format("--keep-env: '{}' is no name of a variable", printable(name)));
    }
    keep_variable(name, environment);
  }
  of_flag("--env", [&] {
    for (const std::string& variable : arguments.environment) set_variable(variable, environment);
  });
}

void interpret_identity(const Arguments& arguments, sbx::Spec& spec) {
  if (!arguments.user.empty()) {
    const auto home = spec.user ? spec.user->home : std::filesystem::path();
    of_flag("--user", [&] { spec.user = parse_user(arguments.user, spec.root.directory); });
    if (!home.empty()) spec.user->home = home;
  }
  if (!arguments.hostname.empty()) spec.hostname = arguments.hostname;
  if (arguments.userns == "host") {
    spec.user_namespace.mode = sbx::UserNamespace::Mode::kHost;
  } else if (!arguments.userns.empty() && arguments.userns != "auto") {
    of_flag("--userns", [&] {
      spec.user_namespace.mode = sbx::UserNamespace::Mode::kMap;
      spec.user_namespace.uids = sbx::parse_id_map(arguments.userns);
      spec.user_namespace.gids = spec.user_namespace.uids;
    });
  }
}

sbx::MemoryMerge parse_ksm(const std::string& word) {
  constexpr std::pair<const char*, sbx::MemoryMerge> kWords[] = {
      {"true", sbx::MemoryMerge::kOn},  // the flag alone
      {"deep", sbx::MemoryMerge::kDeep},
      {"false", sbx::MemoryMerge::kOff}};
  for (const auto& [known, merge] : kWords) {
    if (word == known) return merge;
  }
  refuse(fmt::format("--ksm: '{}' is not deep", printable(word)));
}

/// The first word, of a list whose flags put their names before their values.
std::string first_word(const std::string& text) { return text.substr(0, text.find(' ')); }

/// "--io-read DEV:RATE" or "--io-write DEV:RATE".
sbx::IoLimit parse_io(const std::string& text) {
  const std::string value = text.substr(text.find(' ') + 1);
  const std::size_t colon = value.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    refuse(fmt::format("'{}' is not DEVICE:RATE", printable(value)));
  }
  sbx::IoLimit limit{.device = value.substr(0, colon)};
  const std::uint64_t rate = tools::parse_byte_rate(value.substr(colon + 1));
  (first_word(text) == "--io-read" ? limit.read_bytes_per_second : limit.write_bytes_per_second) =
      rate;
  return limit;
}

void interpret_limits(const Arguments& arguments, Options& options) {
  sbx::Limits& limits = options.spec.limits;
  const auto when_given = [](const std::string& value, const char* flag, auto set) {
    if (!value.empty()) of_flag(flag, [&] { set(value); });
  };
  when_given(arguments.memory, "--memory",
             [&](auto& v) { limits.memory_bytes = tools::parse_size(v); });
  when_given(arguments.swap, "--swap", [&](auto& v) { limits.swap_bytes = tools::parse_size(v); });
  when_given(arguments.cpus, "--cpus", [&](auto& v) { limits.cpus = tools::parse_fraction(v); });
  when_given(arguments.cpu_weight, "--cpu-weight", [&](auto& v) {
    limits.cpu_weight = static_cast<std::uint32_t>(tools::parse_number(v, 1, 10000));
  });
  if (!arguments.cpuset.empty()) limits.processors = arguments.cpuset;
  when_given(arguments.pids, "--pids",
             [&](auto& v) { limits.pids = tools::parse_number(v, 1, kMostProcesses); });
  when_given(arguments.timeout, "--timeout",
             [&](auto& v) { options.timeout = tools::parse_duration(v); });
  when_given(arguments.cpu_time, "--cpu-time",
             [&](auto& v) { options.spec.cpu_time_max = tools::parse_duration(v); });
  for (const std::string& limit : arguments.io) {
    of_flag(first_word(limit).c_str(), [&] { limits.io.push_back(parse_io(limit)); });
  }
  for (const std::string& limit : arguments.rlimits) {
    of_flag("--rlimit", [&] { options.spec.rlimits.push_back(sbx::Rlimit::parse(limit)); });
  }
  if (!arguments.ksm.empty()) options.spec.memory_merge = parse_ksm(arguments.ksm);
}

constexpr std::pair<const char*, sbx::Network::Mode> kNetworkModes[] = {
    {"none", sbx::Network::Mode::kNone},     {"host", sbx::Network::Mode::kHost},
    {"user", sbx::Network::Mode::kUser},     {"bridge", sbx::Network::Mode::kBridge},
    {"routed", sbx::Network::Mode::kRouted},
};

sbx::Network::Mode parse_network_mode(const std::string& text) {
  for (const auto& [word, mode] : kNetworkModes) {
    if (text == word) return mode;
  }
  refuse(fmt::format("'{}' is not none, host, user, routed or bridge", printable(text)));
}

void add_pool(const std::string& text, sbx::HostNetwork& host) {
  const auto pool = sbx::IpPrefix::parse(text);
  (pool.address.family() == sbx::IpFamily::kIpv4 ? host.ipv4_pool : host.ipv6_pool) = pool;
}

void add_network_rule(const std::string& flag, const std::string& value, sbx::Network& network) {
  if (flag == "--publish") network.publish.push_back(sbx::PublishedPort::parse(value));
  if (flag == "--allow") network.allow.push_back(sbx::Destination::parse(value));
  if (flag == "--deny") network.deny.push_back(sbx::Destination::parse(value));
  if (flag == "--pool") add_pool(value, network.host);
}

/// Those of the command line are for a network that can have them; the others are forgotten.
void require_connected(const Arguments& arguments) {
  const std::string flag = !arguments.rate.empty() ? "--rate"
                           : arguments.network_rules.empty()
                               ? ""
                               : first_word(arguments.network_rules[0]);
  if (!flag.empty()) refuse(flag + " needs --net routed or --net bridge");
}

void interpret_network(const Arguments& arguments, Options& options) {
  sbx::Network& network = options.spec.network;
  if (!arguments.network.empty()) {
    of_flag("--net", [&] { network.mode = parse_network_mode(arguments.network); });
  }
  using enum sbx::Network::Mode;
  if (network.mode != kRouted && network.mode != kBridge) {
    require_connected(arguments);
    network = {.mode = network.mode};
    return;
  }
  for (const std::string& rule : arguments.network_rules) {
    const std::string flag = first_word(rule);
    of_flag(flag.c_str(), [&] { add_network_rule(flag, rule.substr(flag.size() + 1), network); });
  }
  if (!arguments.rate.empty()) {
    const auto rate = sbx::detail::parse_rate(arguments.rate);
    if (!rate || *rate == 0) {
      refuse(fmt::format("--rate: '{}' is not a rate such as 10mbit", printable(arguments.rate)));
    }
    network.rate_bits_per_second = *rate;
  }
  if (!options.name.empty()) network.name = options.name;
  network.host.run_directory = tools::network_directory(arguments.run_dir);
  network.host.state_directory = tools::state_directory(arguments.state_dir);
}

void interpret_privileges(const Arguments& arguments, sbx::Spec& spec) {
  if (arguments.allow_new_privileges) spec.no_new_privileges = false;
  const std::string& filter = arguments.seccomp;
  if (filter == "default" || filter == "strict" || filter == "none") {
    spec.seccomp = sbx::SeccompFilter::profile(filter);
  } else if (!filter.empty()) {
    spec.seccomp = sbx::SeccompFilter::from_file(filter);
  }
  if (arguments.capabilities.empty()) return;
  const bool own_root = spec.user && spec.user->uid == 0 &&
                        spec.user_namespace.mode != sbx::UserNamespace::Mode::kHost;
  sbx::CapabilitySet set = own_root ? sbx::CapabilitySet::sandbox_root() : sbx::CapabilitySet();
  for (const std::string& change : arguments.capabilities) {
    const bool add = change[0] == '+';
    const std::string name = change.substr(1);
    of_flag(add ? "--cap-add" : "--cap-drop", [&] {
      if (!add && name == "all") {
        set = {};
      } else if (add) {
        set.add(sbx::parse_capability(name));
      } else {
        set.drop(sbx::parse_capability(name));
      }
    });
  }
  spec.capabilities = set;
}

/// There is no way to read it but to change it.
std::uint32_t caller_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

/// Who enters takes the sandbox as it is.
void refuse_what_is_decided(const Arguments& arguments) {
  const struct {
    const char* flag;
    bool given;
  } decided[] = {{"--rootfs", !arguments.rootfs.empty()},
                 {"--overlay", !arguments.overlay.empty()},
                 {"--bind, --ro-bind and --tmpfs", !arguments.mounts.empty()},
                 {"--hostname", !arguments.hostname.empty()},
                 {"--userns", !arguments.userns.empty()},
                 {"--rlimit", !arguments.rlimits.empty()},
                 {"--cpu-time", !arguments.cpu_time.empty()},
                 {"--net", !arguments.network.empty()},
                 {"--cap-add and --cap-drop", !arguments.capabilities.empty()},
                 {"--seccomp", !arguments.seccomp.empty()},
                 {"--allow-new-privs", arguments.allow_new_privileges},
                 {"--ksm", !arguments.ksm.empty()},
                 {"--config", !arguments.config.empty()},
                 {"--no-init", !arguments.init},
                 {"--dry-run", arguments.dry_run}};
  for (const auto& [flag, given] : decided) {
    if (given) refuse(fmt::format("--enter takes the sandbox as it is: it excludes {}", flag));
  }
}

void check_combination(const Arguments& arguments) {
  const bool enters = !arguments.enter.empty();
  if (enters && !arguments.name.empty()) refuse("--enter and --name exclude each other");
  if (enters) refuse_what_is_decided(arguments);
  if (!arguments.init && arguments.network == "user") {
    refuse("--net user needs an init: the command waits for the network");
  }
  if (arguments.detach && arguments.tty) refuse("--detach and --tty exclude each other");
  if (!arguments.name.empty() && !arguments.init)
    refuse("--name needs an init: --no-init cannot be entered");
  if (!arguments.name.empty()) of_flag("--name", [&] { tools::require_name(arguments.name); });
  if (enters) of_flag("--enter", [&] { tools::require_name(arguments.enter); });
}

}  // namespace

Options interpret(const Arguments& arguments) {
  check_combination(arguments);
  Options options;
  options.name = arguments.name;
  options.enter = arguments.enter;
  options.report = arguments.report;
  options.run_dir = arguments.run_dir;
  options.detach = arguments.detach;
  options.dry_run = arguments.dry_run;
  options.verbose = arguments.verbose;
#ifdef SBX_HAVE_HOST
  apply_config(arguments, options);
#else
  if (!arguments.config.empty()) refuse("--config is not in this version");
#endif
  interpret_root(arguments, options.spec);
  interpret_identity(arguments, options.spec);
  interpret_limits(arguments, options);
  interpret_network(arguments, options);
  interpret_privileges(arguments, options.spec);

  sbx::Command& command = options.spec.command;
  interpret_environment(arguments, options.spec);
  command.argv = arguments.command;
  if (!arguments.workdir.empty()) command.workdir = arguments.workdir;
  command.terminal = arguments.tty;
  if (arguments.tty && ::isatty(STDIN_FILENO) == 1) {
    command.terminal_size = sbx::terminal_size(STDIN_FILENO);
  }
  command.umask = caller_umask();
  if (!options.enter.empty()) command.limits = std::exchange(options.spec.limits, {});
  if (!arguments.init) options.spec.init = sbx::Init::kNone;
  return options;
}

}  // namespace sbx_run
