// SPDX-License-Identifier: Apache-2.0
//
// The command line of sbx-run, up to the Spec: words with NULs between, and after an empty word
// what the root's /etc/passwd holds. No file of the machine's is read that a word names.
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "fuzz/check.hpp"
#include "sbx-run/options.hpp"
#include "sbx/error.hpp"

namespace {

using sbx::fuzz::require;
using sbx_run::Arguments;
using Words = std::vector<std::string>;

constexpr const char* kTenant = "[sandbox]\nhostname = \"alice\"\nuid = 30001\n[network]\n";
constexpr const char* kProfile = R"({"defaultAction": "SCMP_ACT_ALLOW"})";

/// A root that holds nothing but /etc/passwd.
class Root {
 public:
  Root() {
    std::string name = (std::filesystem::temp_directory_path() / "sbx-fuzz-XXXXXX").native();
    require(::mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
    path_ = name;
    std::filesystem::create_directory(path_ / "etc");
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  Root(Root&&) = delete;
  Root& operator=(Root&&) = delete;
  ~Root() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string with(std::string_view passwd) const {
    std::ofstream(path_ / "etc/passwd", std::ios::binary) << passwd;
    return path_.native();
  }

 private:
  std::filesystem::path path_;
};

/// The flags whose values are kept as they are written.
constexpr std::pair<const char*, std::string Arguments::*> kTexts[] = {
    {"--rootfs", &Arguments::rootfs},
    {"--user", &Arguments::user},
    {"--hostname", &Arguments::hostname},
    {"--workdir", &Arguments::workdir},
    {"--userns", &Arguments::userns},
    {"--memory", &Arguments::memory},
    {"--swap", &Arguments::swap},
    {"--cpus", &Arguments::cpus},
    {"--cpu-weight", &Arguments::cpu_weight},
    {"--pids", &Arguments::pids},
    {"--timeout", &Arguments::timeout},
    {"--cpu-time", &Arguments::cpu_time},
    {"--net", &Arguments::network},
    {"--seccomp", &Arguments::seccomp},
    {"--name", &Arguments::name},
    {"--enter", &Arguments::enter},
    {"--config", &Arguments::config},
    {"--report", &Arguments::report},
    {"--run-dir", &Arguments::run_dir},
    {"--rate", &Arguments::rate},
};

/// Those with several values; where flags share a place, each value begins with its flag's word.
constexpr std::pair<const char*, Words Arguments::*> kLists[] = {
    {"--", &Arguments::mounts},
    {"--env ", &Arguments::environment},
    {"--keep-env ", &Arguments::kept_environment},
    {"--rlimit ", &Arguments::rlimits},
    {"", &Arguments::io},
    {"", &Arguments::network_rules},
};

constexpr std::pair<const char*, bool Arguments::*> kSwitches[] = {
    {"--allow-new-privs", &Arguments::allow_new_privileges},
    {"--detach", &Arguments::detach},
    {"--tty", &Arguments::tty},
    {"--dry-run", &Arguments::dry_run},
    {"--verbose", &Arguments::verbose},
};

/// A command line that says the same.
Words written(const Arguments& arguments) {
  Words words = {"sbx-run"};
  for (const auto& [flag, place] : kTexts) {
    if (!(arguments.*place).empty()) words.push_back(std::string(flag) + "=" + arguments.*place);
  }
  for (const auto& [start, place] : kLists) {
    for (const std::string& value : arguments.*place) {
      const std::string word = start + value;
      const std::size_t space = word.find(' ');
      words.push_back(word.substr(0, space));
      words.push_back(word.substr(space + 1));
    }
  }
  for (const std::string& change : arguments.capabilities) {
    words.push_back((change[0] == '+' ? "--cap-add=" : "--cap-drop=") + change.substr(1));
  }
  for (const auto& [flag, place] : kSwitches) {
    if (arguments.*place) words.emplace_back(flag);
  }
  if (!arguments.init) words.emplace_back("--no-init");
  if (!arguments.overlay.empty()) words.push_back("--overlay=" + arguments.overlay);
  if (!arguments.ksm.empty()) words.push_back("--ksm=" + arguments.ksm);
  words.emplace_back("--");
  words.insert(words.end(), arguments.command.begin(), arguments.command.end());
  return words;
}

sbx_run::Parsed parse(Words words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return sbx_run::parse(static_cast<int>(words.size()), argv.data());
}

void require_same_when_written(const Arguments& arguments) {
  const Words words = written(arguments);
  std::string shown;
  for (const std::string& word : words) shown += word + '\n';
  const sbx_run::Parsed again = parse(words);
  require(again.problem.empty() && !again.exit_status, again.problem.c_str(), shown);
  require(written(again.arguments) == words, "a command line is read as it is written", shown);
}

void require_name(const std::string& name) {
  require(name.size() <= 64 && name[0] != '.' && name.find('/') == std::string::npos,
          "the name of a sandbox is no path", name);
}

void require_spec(const sbx::Spec& spec) {
  const sbx::Limits& limits = spec.limits;
  require(!limits.cpu_weight || (*limits.cpu_weight >= 1 && *limits.cpu_weight <= 10000),
          "a weight is in range");
  require(!limits.pids || (*limits.pids >= 1 && *limits.pids <= 4194304), "pids are in range");
  require(!limits.cpus || *limits.cpus > 0, "cpus are more than 0");
  require(!spec.cpu_time_max || spec.cpu_time_max->count() >= 0, "time is not below 0");
  for (const sbx::Rlimit& limit : spec.rlimits) {
    require(limit.soft <= limit.hard, "a soft limit is below its hard one");
  }
  require(!spec.user || (spec.user->uid != ~0U && spec.user->gid != ~0U), "a user has an id");
  const auto& users = spec.user_namespace;
  require((users.mode == sbx::UserNamespace::Mode::kMap) != users.uids.empty(),
          "a map is there when it is asked for");
  require(
      !spec.capabilities || (spec.capabilities->bits() & ~sbx::CapabilitySet::all().bits()) == 0,
      "a capability is known");
  const Words& environment = spec.command.environment;
  for (std::size_t i = 0; i < environment.size(); ++i) {
    const std::size_t equals = environment[i].find('=');
    require(equals != 0 && equals != std::string::npos, "a variable has a name and a value");
    for (std::size_t j = 0; j < i; ++j) {
      require(!environment[j].starts_with(environment[i].substr(0, equals + 1)),
              "a variable is there once");
    }
  }
}

/// The words up to the first that is empty, and what is left of `input` then.
Words words_of(std::string_view& input) {
  Words words = {"sbx-run"};
  while (!input.empty()) {
    const std::string_view word = input.substr(0, input.find('\0'));
    input.remove_prefix(std::min(word.size() + 1, input.size()));
    if (word.empty()) break;
    words.emplace_back(word);
  }
  return words;
}

void interpret(Arguments arguments, std::string_view passwd) {
  static const Root root;
  static sbx::fuzz::MemoryFile tenant;
  static sbx::fuzz::MemoryFile profile;
  if (!arguments.rootfs.empty()) arguments.rootfs = root.with(passwd);
  if (!arguments.config.empty()) arguments.config = tenant.fill(kTenant);
  const std::string& filter = arguments.seccomp;
  const bool built_in = filter == "default" || filter == "strict" || filter == "none";
  if (!filter.empty() && !built_in) arguments.seccomp = profile.fill(kProfile);

  const sbx_run::Options options = sbx_run::interpret(arguments);

  require(options.spec.command.argv == arguments.command, "the command is what was written");
  require(!options.timeout || options.timeout->count() >= 0, "a time-out is not below 0");
  require_name(options.name);
  require_name(options.enter);
  require(options.name.empty() || options.enter.empty(), "who enters has no name");
  require_spec(options.spec);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const Words words = words_of(input);
  try {
    const sbx_run::Parsed parsed = parse(words);
    if (parsed.exit_status) {
      require(*parsed.exit_status == 0, "--help and --version succeed");
      return 0;
    }
    if (!parsed.problem.empty()) {
      sbx::fuzz::require_message(parsed.problem);
      return 0;
    }
    const Words& command = parsed.arguments.command;
    require(!command.empty() && std::equal(command.rbegin(), command.rend(), words.rbegin()),
            "the command is the last words");
    require_same_when_written(parsed.arguments);
    interpret(parsed.arguments, input);
  } catch (const std::invalid_argument& error) {
    sbx::fuzz::require_message(error.what());
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
  }
  return 0;
}
