// SPDX-License-Identifier: Apache-2.0
//
// The command line as a table: each flag with its group, its place in Arguments and its line of
// help.
#include "sbx-run/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/units.hpp"
#include "sys/error.hpp"

namespace sbx_run {
namespace {

constexpr const char* kDescription =
    "Runs COMMAND in a sandbox of its own: its own processes, files, network, users and IPC.\n"
    "What is not asked for is closed. The exit status is the command's; 124: out of time;\n"
    "125: the sandbox could not be made; 126, 127: the command cannot be executed, is not there.";

constexpr const char* kExamples =
    "Examples:\n"
    "  Judge a submission: two seconds, no network, nothing but its own folder, a report.\n"
    "    sbx-run --timeout 2s --cpu-time 1s --seccomp strict --ro-bind ./submission:/box \\\n"
    "            --workdir /box --report result.json -- ./solution < input > output\n"
    "  A private redis, and a client that joins it later.\n"
    "    sbx-run --name cache --detach -- redis-server --save ''\n"
    "    sbx-run --enter cache -- redis-cli incr visits";

constexpr const char* kRoot = "Root file system and mounts";
constexpr const char* kIdentity = "Identity and environment";
constexpr const char* kLimits = "Limits";
constexpr const char* kNetwork = "Network";
constexpr const char* kPrivileges = "Privileges";
constexpr const char* kBehaviour = "Behaviour";
constexpr const char* kHelp = "Help";

struct TextFlag {
  const char* group;
  const char* name;
  std::string Arguments::*place;
  const char* value;
  const char* help;
};

constexpr TextFlag kTexts[] = {
    {kRoot, "--rootfs", &Arguments::rootfs, "DIR",
     "make DIR the root, read-only (default: the host's programs)"},
    {kIdentity, "--user", &Arguments::user, "NAME|UID[:GID]", "who the command is inside"},
    {kIdentity, "--hostname", &Arguments::hostname, "NAME",
     "the name of the machine (default: sandbox)"},
    {kIdentity, "--workdir", &Arguments::workdir, "DIR",
     "start in DIR (default: here, where it is there inside)"},
    {kIdentity, "--userns", &Arguments::userns, "auto|MAP|host",
     "ids: INSIDE:OUTSIDE:COUNT[,...], or the host's"},
    {kLimits, "--memory", &Arguments::memory, "SIZE",
     "most memory of all together, page cache and tmpfs included"},
    {kLimits, "--swap", &Arguments::swap, "SIZE",
     "most swap besides (default: none with --memory)"},
    {kLimits, "--cpus", &Arguments::cpus, "N", "most processor time: 0.5 is half of one processor"},
    {kLimits, "--cpu-weight", &Arguments::cpu_weight, "N",
     "share of busy processors, 1 to 10000 (default: 100)"},
    {kLimits, "--cpuset", &Arguments::cpuset, "LIST", "the processors to run on, such as 0-3,6"},
    {kLimits, "--pids", &Arguments::pids, "N", "most processes and threads at one time"},
    {kLimits, "--timeout", &Arguments::timeout, "TIME",
     "kill everything after TIME (500ms, 10s, 5m), status 124"},
    {kLimits, "--cpu-time", &Arguments::cpu_time, "TIME",
     "kill everything after TIME of processor time"},
    {kNetwork, "--net", &Arguments::network, "none|host|user|routed|bridge",
     "none: loopback only (default); user: out by pasta; routed, bridge: the host's own, for root"},
    {kNetwork, "--rate", &Arguments::rate, "RATE", "most to send, and to receive, such as 10mbit"},
    {kPrivileges, "--seccomp", &Arguments::seccomp, "default|strict|none|FILE",
     "the filter of system calls"},
    {kBehaviour, "--name", &Arguments::name, "NAME", "let others find the sandbox by this name"},
    {kBehaviour, "--enter", &Arguments::enter, "NAME",
     "run the command in the running sandbox NAME"},
    {kBehaviour, "--config", &Arguments::config, "FILE",
     "read [sandbox] and [network] of a vassal file first"},
    {kBehaviour, "--report", &Arguments::report, "FILE|fd:N",
     "write how it ended, as one JSON object"},
    {kBehaviour, "--run-dir", &Arguments::run_dir, "DIR",
     "where names and networks are kept (SBX_RUN_DIR, /run/sandbox)"},
    {kBehaviour, "--state-dir", &Arguments::state_dir, "DIR",
     "where a name's addresses are kept (SBX_STATE_DIR, /var/lib/sandbox)"},
    {kBehaviour, "--log-dir", &Arguments::log_dir, "DIR", "taken, as by every tool; not used"},
};

struct ListFlag {
  const char* group;
  const char* name;
  std::vector<std::string> Arguments::*place;
  const char* prefix;  // says which flag a value of a shared list came from
  const char* value;
  const char* help;
};

constexpr ListFlag kLists[] = {
    {kRoot, "--bind", &Arguments::mounts, "bind ", "SRC[:DST]",
     "show SRC inside, writable (DST: the same path)"},
    {kRoot, "--ro-bind", &Arguments::mounts, "ro-bind ", "SRC[:DST]", "show SRC inside, read-only"},
    {kRoot, "--tmpfs", &Arguments::mounts, "tmpfs ", "DST[:SIZE]", "an empty place in memory"},
    {kIdentity, "--env", &Arguments::environment, "", "NAME=VALUE", "set a variable"},
    {kIdentity, "--keep-env", &Arguments::kept_environment, "", "NAME",
     "keep a variable of the caller's"},
    {kLimits, "--rlimit", &Arguments::rlimits, "", "NAME=SOFT[:HARD]",
     "a limit of each process, such as nofile=256"},
    {kLimits, "--io-read", &Arguments::io, "--io-read ", "DEV:RATE",
     "most to read a second from a device: 80mbit, or 10M bytes"},
    {kLimits, "--io-write", &Arguments::io, "--io-write ", "DEV:RATE", "most to write to it"},
    {kNetwork, "--publish", &Arguments::network_rules, "--publish ", "[IP:]HOST:INNER[/udp]",
     "let a port of the host lead inside"},
    {kNetwork, "--allow", &Arguments::network_rules, "--allow ", "CIDR[:PORT]",
     "let it connect there, though it is private"},
    {kNetwork, "--deny", &Arguments::network_rules, "--deny ", "CIDR[:PORT]",
     "let it not connect there"},
    {kNetwork, "--pool", &Arguments::network_rules, "--pool ", "CIDR",
     "give addresses of this block away (default: kept, or a free one)"},
    {kPrivileges, "--cap-add", &Arguments::capabilities, "+", "NAME",
     "give a capability, over the sandbox's own ids"},
    {kPrivileges, "--cap-drop", &Arguments::capabilities, "-", "NAME|all",
     "take a capability away"},
};

struct Switch {
  const char* group;
  const char* name;
  bool Arguments::*place;
  bool value;
  const char* help;
};

constexpr Switch kSwitches[] = {
    {kPrivileges, "--allow-new-privs", &Arguments::allow_new_privileges, true,
     "let set-user-id programs work, for the sandbox's own ids"},
    {kBehaviour, "--detach", &Arguments::detach, true,
     "go on in the background once the command runs"},
    {kBehaviour, "--tty", &Arguments::tty, true, "put the command on a terminal of its own"},
    {kBehaviour, "--init", &Arguments::init, true, "a tiny init is process 1 (default)"},
    {kBehaviour, "--no-init", &Arguments::init, false, "the command itself is process 1"},
    {kBehaviour, "--dry-run", &Arguments::dry_run, true, "say what would be done, and do nothing"},
    {kBehaviour, "--verbose", &Arguments::verbose, true, "say what is done"},
};

/// CLI11 does not know of the command that comes after the options.
class Help : public CLI::Formatter {
 public:
  Help() { column_width(38); }
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: sbx-run [OPTIONS] [--] COMMAND [ARG]...\n";
  }
};

/// The flags that a command line can mean. To define one costs CLI11 as long as it takes the kernel
/// to make a namespace: those that no word names are left out, but where all are to be shown.
class Named {
 public:
  explicit Named(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      if (word.starts_with('-')) names_.insert(word.substr(0, word.find('=')));
    }
  }

  bool operator()(const char* flag) const {
    return names_.contains(flag) || names_.contains("--help");
  }

 private:
  std::set<std::string, std::less<>> names_;
};

void define(CLI::App& app, Arguments& arguments, const Named& is_named) {
  for (const TextFlag& flag : kTexts) {
    if (!is_named(flag.name)) continue;
    app.add_option(flag.name, arguments.*flag.place, flag.help)
        ->type_name(flag.value)
        ->group(flag.group);
  }
  for (const ListFlag& flag : kLists) {
    if (!is_named(flag.name)) continue;
    const auto keep = [&arguments, flag](const std::string& value) {
      (arguments.*flag.place).push_back(flag.prefix + value);
    };
    app.add_option_function<std::string>(flag.name, keep, flag.help)
        ->type_name(flag.value)
        ->group(flag.group)
        ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
        ->trigger_on_parse();
  }
  for (const Switch& flag : kSwitches) {
    if (!is_named(flag.name)) continue;
    app.add_flag_callback(
           flag.name, [&arguments, flag] { arguments.*flag.place = flag.value; }, flag.help)
        ->group(flag.group)
        ->trigger_on_parse();
  }
  app.add_flag("--overlay", arguments.overlay,
               "[=DIR] a writable layer, thrown away, or kept in DIR")
      ->group(kRoot);
  app.add_flag("--ksm", arguments.ksm,
               "[=deep] merge equal memory with other sandboxes; deep: no address randomisation")
      ->group(kLimits);
  app.set_help_flag("--help", "print this and exit")->group(kHelp);
  app.set_version_flag("--version", "sbx-run " SBX_VERSION, "print the version and exit")
      ->group(kHelp);
  app.footer(kExamples);
}

/// Whether a flag has a value: "--flag VALUE" or "--flag=VALUE"; an optional one has only the
/// second form.
enum class Value { kNone, kOptional, kRequired };

Value value_of(const CLI::Option& option) {
  if (option.get_items_expected_min() > 0) return Value::kRequired;
  const bool optional = option.check_name("--overlay") || option.check_name("--ksm");
  return optional ? Value::kOptional : Value::kNone;
}

/// "--overlay DIR" is two words, and so is "--overlay COMMAND". The second is DIR when it is a
/// directory, or when "--" comes after it.
bool is_overlay_directory(const std::vector<std::string>& words, std::size_t i) {
  if (i >= words.size() || words[i].starts_with('-')) return false;
  std::error_code ignored;
  const bool separated = i + 1 < words.size() && words[i + 1] == "--";
  return separated || std::filesystem::is_directory(words[i], ignored);
}

/// The command line, cut where the command begins. CLI11 would take a mistyped option for the first
/// word of the command, the word after "--flag=" for the flag's value, and options of the command
/// for its own.
class CommandLine {
 public:
  CommandLine(const CLI::App& app, const std::vector<std::string>& words)
      : app_(app), words_(words) {
    while (next_ < words_.size() && words_[next_].starts_with('-')) {
      const std::string word = words_[next_++];
      if (word == "--") break;
      take(word);
    }
    command_.assign(words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end());
    if (command_.empty()) complain("no command given");
  }

  /// "--flag" or "--flag=VALUE" each; those that are wrong are left out.
  [[nodiscard]] const std::vector<std::string>& options() const { return options_; }
  [[nodiscard]] const std::vector<std::string>& command() const { return command_; }

  /// The first thing that is wrong; empty when nothing is.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  void complain(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }

  void take(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const CLI::Option* option = app_.get_option_no_throw(name);
    if (option == nullptr) {
      return complain(fmt::format("unknown option '{}'", sbx::detail::printable(name)));
    }
    std::string given = word;
    const Value value = value_of(*option);
    const bool alone = equals == std::string::npos;
    if (!alone && value == Value::kNone) return complain(name + " takes no value");
    const bool joined = alone && (value == Value::kRequired ||
                                  (name == "--overlay" && is_overlay_directory(words_, next_)));
    if (joined && next_ >= words_.size()) {
      return complain(fmt::format("{} needs a value: {}", name, option->get_type_name()));
    }
    if (joined) given += "=" + words_[next_++];
    if (given.ends_with('=') && given.size() == name.size() + 1) {
      return complain(name + ": the value is empty");
    }
    keep(option, name, std::move(given));
  }

  void keep(const CLI::Option* option, const std::string& name, std::string given) {
    const bool is_list = std::any_of(std::begin(kLists), std::end(kLists),
                                     [&](const ListFlag& flag) { return flag.name == name; });
    const bool twice = std::find(seen_.begin(), seen_.end(), option) != seen_.end();
    if (twice && !is_list && value_of(*option) != Value::kNone) {
      return complain(name + " is given twice");
    }
    seen_.push_back(option);
    options_.push_back(std::move(given));
  }

  const CLI::App& app_;
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;  // the first word that is not looked at yet
  std::vector<const CLI::Option*> seen_;
  std::vector<std::string> options_;
  std::vector<std::string> command_;
  std::string problem_;
};

}  // namespace

Parsed parse(int argc, char** argv) {
  Parsed parsed;
  CLI::App app{kDescription, "sbx-run"};
  app.formatter(std::make_shared<Help>());
  const std::vector<std::string> given(argv + std::min(argc, 1), argv + argc);
  define(app, parsed.arguments, Named(given));
  const CommandLine line(app, given);
  parsed.arguments.command = line.command();
  parsed.problem = line.problem();
  std::vector<std::string> words(line.options().rbegin(), line.options().rend());  // as CLI11 wants
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& success) {
    parsed.exit_status = app.exit(success);
  } catch (const CLI::ParseError& error) {
    throw std::invalid_argument(sbx::detail::printable(error.what()));
  }
  return parsed;
}

}  // namespace sbx_run
