// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/config.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "support/temp_dir.hpp"

using sbx::test::TempDir;
using sbx_run::Arguments;
using sbx_run::interpret;

namespace {

/// A vassal file, and the command line that names it.
class Config {
 public:
  explicit Config(const std::string& text) {
    std::ofstream(path()) << text;
    arguments.config = path();
    arguments.command = {"true"};
  }

  [[nodiscard]] sbx::Spec spec() const { return interpret(arguments).spec; }

  /// What is said about it, after the name of the file.
  [[nodiscard]] std::string fault() const {
    try {
      (void)interpret(arguments);
    } catch (const std::invalid_argument& error) {
      const std::string said = error.what();
      const std::string start = path() + ", ";
      return said.starts_with(start) ? said.substr(start.size()) : said;
    }
    return "nothing";
  }

  Arguments arguments;

 private:
  [[nodiscard]] std::string path() const { return folder_.path() / "alice.toml"; }

  TempDir folder_;
};

bool holds(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

TEST_CASE("a vassal file's settings are those of the sandbox") {
  const Config config(
      "[sandbox]\nuid = 30001\nhome = '/srv/a'\nhostname = 'alice'\nenv = { A = '1' }");

  const sbx::Spec spec = config.spec();

  CHECK(spec.user->uid == 30001);
  CHECK(spec.user->name == "alice");
  CHECK(spec.hostname == "alice");
  CHECK(spec.command.workdir == "/home/alice");
  CHECK(holds(spec.command.environment, "A=1"));
  CHECK(spec.mounts.size() == 1);
}

TEST_CASE("single flags win over a vassal file") {
  Config config(
      "[sandbox]\nuid = 30001\nhome = '/srv/a'\nhostname = 'file'\ndistro = 'absent'\nksm = "
      "'deep'\nenv = { A = '1', B = '1' }");
  config.arguments.user = "30002";
  config.arguments.hostname = "flag";
  config.arguments.rootfs = "/srv/root";
  config.arguments.workdir = "/work";
  config.arguments.ksm = "false";
  config.arguments.environment = {"A=2"};

  const sbx::Spec spec = config.spec();

  CHECK(spec.user->uid == 30002);
  CHECK(spec.user->home == "/home/alice");
  CHECK(spec.hostname == "flag");
  CHECK(spec.root.directory == "/srv/root");
  CHECK(spec.command.workdir == "/work");
  CHECK(spec.memory_merge == sbx::MemoryMerge::kOff);
  CHECK(holds(spec.command.environment, "A=2"));
  CHECK_FALSE(holds(spec.command.environment, "A=1"));
  CHECK(holds(spec.command.environment, "B=1"));
}

TEST_CASE("limits on the command line win over a vassal file") {
  Config config("[sandbox]\nmemory = '1G'\ncpus = 1\ncpu_weight = 1\npids = 1");
  config.arguments.memory = "2G";
  config.arguments.cpu_weight = "2";

  const sbx::Limits limits = config.spec().limits;

  CHECK(limits.memory_bytes == std::uint64_t{2} << 30);
  CHECK(limits.cpus == 1.0);
  CHECK(limits.cpu_weight == 2U);
  CHECK(limits.pids == 1U);
}

TEST_CASE("mounts on the command line come after those of a vassal file") {
  Config config("sandbox.bind = ['/a:/b']");
  config.arguments.mounts = {"ro-bind /c:/d"};

  const sbx::Spec spec = config.spec();

  REQUIRE(spec.mounts.size() == 2);
  CHECK(std::get<sbx::Bind>(spec.mounts[0]).target == "/b");
  CHECK(std::get<sbx::Bind>(spec.mounts[1]).target == "/d");
}

TEST_CASE("a vassal file's variables win over the caller's, and each is there once") {
  const Config config("sandbox.env.PATH = '/only'");

  const auto environment = config.spec().command.environment;

  CHECK(holds(environment, "PATH=/only"));
  CHECK(std::count_if(environment.begin(), environment.end(), [](const std::string& variable) {
          return variable.starts_with("PATH=");
        }) == 1);
}

TEST_CASE("a user of a vassal file has a home of his own") {
  const Config config("[sandbox]\nuid = 30001\nhome = '/srv/a'");

  const auto environment = config.spec().command.environment;

  CHECK(std::none_of(environment.begin(), environment.end(),
                     [](const std::string& variable) { return variable.starts_with("HOME="); }));
}

TEST_CASE("what this version does not enforce is refused at its place") {
  const std::string refusal = " is not enforced by this version";

  CHECK(Config("[sandbox]\ncpu_allowance = '2h/day'").fault() ==
        "line 2, column 1: sandbox.cpu_allowance" + refusal);
  CHECK(Config("[sandbox]\ndisk = '1G'").fault() == "line 2, column 1: sandbox.disk" + refusal);
}

TEST_CASE("a vassal file's network is the host's, under the tenant's name") {
  Config config("network.internet = true\nnetwork.publish = ['8022:22']\nnetwork.rate = '1mbit'");
  const sbx::Network network = interpret(config.arguments).spec.network;

  CHECK(network.mode == sbx::Network::Mode::kRouted);
  CHECK(network.internet);
  CHECK(network.name == "alice");
  CHECK(network.publish == std::vector{sbx::PublishedPort::parse("8022:22")});
  CHECK(network.rate_bits_per_second == 1'000'000);
}

TEST_CASE("who is only allowed something has no internet") {
  Config config("network.allow = ['10.0.0.5:5432']");
  const sbx::Network network = interpret(config.arguments).spec.network;

  CHECK(network.mode == sbx::Network::Mode::kRouted);
  CHECK_FALSE(network.internet);
}

TEST_CASE("a rule that cannot be read is told with its place") {
  CHECK(Config("[network]\npublish = ['1']").fault() ==
        "line 2, column 1: network.publish: '1' is no port to publish: [IP:]HOST:INNER[/udp], an "
        "IPv6 address in brackets");
  CHECK(Config("[network]\nallow = ['::/129']").fault() ==
        "line 2, column 1: network.allow: '::/129' is no block of addresses: its length is a "
        "number from 0 to 128");
}

TEST_CASE("what a vassal file denies or leaves empty needs nothing to enforce it") {
  CHECK(Config("[network]\ninternet = false\npublish = []\nallow = []\ndeny = []").fault() ==
        "nothing");
}

TEST_CASE("--net decides for a vassal file that asks for the internet") {
  Config config("network.internet = true");
  config.arguments.network = "user";

  CHECK(interpret(config.arguments).spec.network.mode == sbx::Network::Mode::kUser);
}

TEST_CASE("a distro is looked for in the state directory") {
  ::setenv("SBX_STATE_DIR", "/srv/state", 1);
  const sbx::Spec configured = Config("sandbox.distro = 'bookworm'").spec();
  ::unsetenv("SBX_STATE_DIR");
  const sbx::Spec usual = Config("sandbox.distro = 'bookworm'").spec();

  CHECK(configured.root.directory == "/srv/state/distros/bookworm");
  CHECK(usual.root.directory == "/var/lib/sandbox/distros/bookworm");
}

TEST_CASE("a running sandbox is not configured anew") {
  Config config("");
  config.arguments.enter = "cache";

  CHECK(config.fault() == "--enter takes the sandbox as it is: it excludes --config");
}
