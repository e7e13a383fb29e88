// SPDX-License-Identifier: Apache-2.0
//
// What is wrong on the command line: one line that says it, and status 125.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "support/command.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::Ended;
using sbx::test::sbx_run;
using sbx::test::TempDir;

namespace {

/// The line by which sbx-run refuses `arguments`, without its "sbx-run: "; all that was said and
/// the status when it was not one line and 125.
std::string refusal(std::vector<std::string> arguments) {
  const Ended ended = sbx_run(std::move(arguments));
  const std::string start = "sbx-run: ";
  const bool good = ended.status == 125 && ended.out.empty() && ended.err.starts_with(start) &&
                    ended.err.find('\n') == ended.err.size() - 1;
  if (good) return ended.err.substr(start.size(), ended.err.size() - start.size() - 1);
  return "status " + std::to_string(ended.status) + ": " + ended.out + ended.err;
}

/// Likewise, with a command behind a flag and its value.
std::string refusal_of(const std::string& flag, const std::string& value) {
  return refusal({flag, value, "--", "true"});
}

std::string write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

}  // namespace

TEST_CASE("a command line without a command is refused") {
  CHECK(refusal({}) == "no command given");
  CHECK(refusal({"--"}) == "no command given");
  CHECK(refusal({"--net", "none"}) == "no command given");
  CHECK(refusal({"--overlay"}) == "no command given");
}

TEST_CASE("an unknown flag is refused wherever it stands before the command") {
  CHECK(refusal({"--bad", "true"}) == "unknown option '--bad'");
  CHECK(refusal({"--net", "none", "--no-nte", "true"}) == "unknown option '--no-nte'");
  CHECK(refusal({"-x", "true"}) == "unknown option '-x'");
  CHECK(refusal({"--bad=5", "true"}) == "unknown option '--bad'");
  CHECK(refusal({"-", "true"}) == "unknown option '-'");
}

TEST_CASE("a flag without its value is refused") {
  CHECK(refusal({"--timeout"}) == "--timeout needs a value: TIME");
  CHECK(refusal({"--bind"}) == "--bind needs a value: SRC[:DST]");
  CHECK(refusal({"--timeout=", "true"}) == "--timeout: the value is empty");
  CHECK(refusal({"--user", "", "true"}) == "--user: the value is empty");
  CHECK(refusal({"--overlay=", "true"}) == "--overlay: the value is empty");
}

TEST_CASE("a value for a flag that has none is refused") {
  CHECK(refusal({"--tty=yes", "true"}) == "--tty takes no value");
  CHECK(refusal({"--help=net", "true"}) == "--help takes no value");
}

TEST_CASE("a flag that has one value is refused when it is given twice") {
  CHECK(refusal({"--net", "none", "--net", "host", "true"}) == "--net is given twice");
  CHECK(refusal({"--ksm=deep", "--ksm", "true"}) == "--ksm is given twice");
}

TEST_CASE("a word that is none of a flag's is refused") {
  CHECK(refusal_of("--net", "x") == "--net: 'x' is not none, host, user, routed or bridge");
  CHECK(refusal_of("--seccomp", "x") ==
        "cannot read seccomp profile 'x': No such file or directory");
  CHECK(refusal({"--ksm=x", "true"}) == "--ksm: 'x' is not deep");
  CHECK(refusal_of("--userns", "x") ==
        "--userns: cannot read the id map 'x': a range is INSIDE:OUTSIDE:COUNT");
}

TEST_CASE("a time in no unit is refused") {
  CHECK(refusal_of("--timeout", "5x") ==
        "--timeout: '5x' is not a duration such as 500ms, 10s, 5m, 2h or 1d");
  CHECK(refusal_of("--timeout", "-1") ==
        "--timeout: '-1' is not a duration such as 500ms, 10s, 5m, 2h or 1d");
  CHECK(refusal_of("--timeout", "99999999999999999999") ==
        "--timeout: '99999999999999999999' is not a duration such as 500ms, 10s, 5m, 2h or 1d");
  CHECK(refusal_of("--cpu-time", "s") ==
        "--cpu-time: 's' is not a duration such as 500ms, 10s, 5m, 2h or 1d");
}

TEST_CASE("a size in no unit is refused") {
  CHECK(refusal_of("--memory", "5mb") ==
        "--memory: '5mb' is not a size such as 512, 64K, 256M or 2G");
  CHECK(refusal_of("--swap", "k") == "--swap: 'k' is not a size such as 512, 64K, 256M or 2G");
  CHECK(refusal_of("--tmpfs", "/x:5x") ==
        "--tmpfs: '5x' is not a size such as 512, 64K, 256M or 2G");
  CHECK(refusal_of("--tmpfs", "/x:") == "--tmpfs: '' is not a size such as 512, 64K, 256M or 2G");
}

TEST_CASE("a mount of nothing or to nowhere is refused") {
  CHECK(refusal_of("--bind", "/no/such/place") ==
        "cannot bind '/no/such/place': No such file or directory");
  CHECK(refusal_of("--bind", ":/data") == "--bind: ':/data' names no source");
  CHECK(refusal_of("--ro-bind", "/etc:") == "--ro-bind: '/etc:' names no place after the colon");
  CHECK(refusal_of("--bind", "/etc:data") ==
        "the mount point 'data' is not an absolute path below '/'");
  CHECK(refusal_of("--tmpfs", "data") ==
        "the mount point 'data' is not an absolute path below '/'");
  CHECK(refusal_of("--tmpfs", "/") == "the mount point '/' is not an absolute path below '/'");
}

TEST_CASE("a file where a directory is needed is refused") {
  const TempDir dir;
  const std::string file = write_file(dir.path() / "file", "");

  CHECK(refusal_of("--rootfs", file) == "cannot use the root '" + file + "': Not a directory");
  CHECK(refusal({"--overlay=" + file, "true"}) ==
        "cannot keep the overlay in '" + file + "': Not a directory");
  CHECK(refusal({"--overlay", file, "--", "true"}) ==
        "cannot keep the overlay in '" + file + "': Not a directory");
  CHECK(refusal({"--run-dir", file, "--name", "a", "true"}) ==
        "cannot open the run directory '" + file + "': Not a directory");
}

TEST_CASE("a vassal file that cannot be read is refused with its place") {
  const TempDir dir;
  const std::string wrong = write_file(dir.path() / "a.toml", "[sandbox]\nhostname = \n");
  const std::string unknown = write_file(dir.path() / "b.toml", "[sandbox]\n  hostnam = \"a\"\n");

  CHECK(refusal_of("--config", "/no/such/file") ==
        "cannot read '/no/such/file': No such file or directory");
  CHECK(refusal_of("--config", dir.path()) ==
        "cannot read '" + dir.path().native() + "': Is a directory");
  CHECK(refusal_of("--config", wrong).starts_with(wrong + ", line 2, column 12: "));
  CHECK(refusal_of("--config", unknown) ==
        unknown + ", line 2, column 3: sandbox.hostnam is not known; did you mean hostname?");
}

TEST_CASE("a vassal file without permission is refused") {
  SBX_REQUIRE_ORDINARY_USER();
  const TempDir dir;
  const std::string file = write_file(dir.path() / "a.toml", "");
  ::chmod(file.c_str(), 0);

  CHECK(refusal_of("--config", file) == "cannot read '" + file + "': Permission denied");
}

TEST_CASE("a user that is none is refused") {
  CHECK(refusal_of("--user", "0x") == "--user: there is no user '0x'");
  CHECK(refusal_of("--user", "-1") == "--user: there is no user '-1'");
  CHECK(refusal_of("--user", " 5") == "--user: there is no user ' 5'");
  CHECK(refusal_of("--user", "+5") == "--user: there is no user '+5'");
  CHECK(refusal_of("--user", "4294967295") == "--user: there is no user '4294967295'");
  CHECK(refusal_of("--user", "4294967296") == "--user: there is no user '4294967296'");
  CHECK(refusal_of("--user", "1:") == "--user: '' is no group id");
  CHECK(refusal_of("--user", "1:4294967295") == "--user: '4294967295' is no group id");
  CHECK(refusal_of("--user", ":1") == "--user: there is no user ''");
}

TEST_CASE("a user outside of the map is refused") {
  CHECK(refusal({"--userns", "0:5000:10", "--user", "10", "true"}) ==
        "user 10 is not covered by the sandbox's id map");
  CHECK(refusal({"--userns", "0:5000:10", "--user", "1:10", "true"}) ==
        "group 10 is not covered by the sandbox's id map");
}

TEST_CASE("a variable that is none is refused") {
  CHECK(refusal_of("--env", "A") == "--env: 'A' is not NAME=VALUE");
  CHECK(refusal_of("--env", "=A") == "--env: '=A' is not NAME=VALUE");
  CHECK(refusal_of("--keep-env", "A=B") == "--keep-env: 'A=B' is no name of a variable");
}

TEST_CASE("a resource limit that is none is refused") {
  CHECK(refusal_of("--rlimit", "x") ==
        "--rlimit: cannot read the resource limit 'x': it is not NAME=SOFT[:HARD]");
  CHECK(
      refusal_of("--rlimit", "x=5").starts_with("--rlimit: cannot read the resource limit 'x=5'"));
  CHECK(refusal_of("--rlimit", "nofile=x") ==
        "--rlimit: cannot read the resource limit 'nofile=x': a limit is a whole number, or "
        "unlimited");
  CHECK(refusal_of("--rlimit", "nofile=5:4") ==
        "--rlimit: cannot read the resource limit 'nofile=5:4': the soft limit is above the hard "
        "one");
}

TEST_CASE("a capability that is none is refused") {
  CHECK(refusal_of("--cap-add", "fly") == "--cap-add: unknown capability 'fly'");
  CHECK(refusal_of("--cap-add", "all") == "--cap-add: unknown capability 'all'");
  CHECK(refusal_of("--cap-drop", "fly") == "--cap-drop: unknown capability 'fly'");
}

TEST_CASE("a name that leads out of the run directory is refused") {
  const std::string rule =
      "' is no name for a sandbox: letters, digits, '.', '_' and '-', at most 64";

  CHECK(refusal_of("--name", "a/b") == "--name: 'a/b" + rule);
  CHECK(refusal_of("--name", "..") == "--name: '.." + rule);
  CHECK(refusal_of("--name", "-x") == "--name: '-x" + rule);
  CHECK(refusal_of("--name", "a\nb") == "--name: 'a\\x0ab" + rule);
  CHECK(refusal_of("--name", std::string(65, 'a')) == "--name: '" + std::string(65, 'a') + rule);
  CHECK(refusal_of("--enter", "../a") == "--enter: '../a" + rule);
}

TEST_CASE("flags that exclude each other are refused") {
  CHECK(refusal({"--detach", "--tty", "true"}) == "--detach and --tty exclude each other");
  CHECK(refusal({"--enter", "a", "--name", "b", "true"}) ==
        "--enter and --name exclude each other");
  CHECK(refusal({"--enter", "a", "--bind", "/etc", "true"}) ==
        "--enter takes the sandbox as it is: it excludes --bind, --ro-bind and --tmpfs");
  CHECK(refusal({"--enter", "a", "--dry-run", "true"}) ==
        "--enter takes the sandbox as it is: it excludes --dry-run");
  CHECK(refusal({"--name", "a", "--no-init", "true"}) ==
        "--name needs an init: --no-init cannot be entered");
  CHECK(refusal({"--cpu-time", "1s", "--no-init", "true"}) ==
        "without an init nobody watches the processor time");
  CHECK(refusal({"--ksm", "--no-init", "true"}) == "without an init no memory can be merged");
  CHECK(refusal({"--net", "user", "--no-init", "true"}) ==
        "--net user needs an init: the command waits for the network");
}

TEST_CASE("limits that make no sense are refused") {
  CHECK(refusal_of("--memory", "much") ==
        "--memory: 'much' is not a size such as 512, 64K, 256M or 2G");
  CHECK(refusal_of("--memory", "0") == "no memory at all is no limit that a program can keep");
  CHECK(refusal_of("--swap", "-1") == "--swap: '-1' is not a size such as 512, 64K, 256M or 2G");
  CHECK(refusal_of("--cpus", "0") == "--cpus: '0' is not a positive number such as 0.5 or 2");
  CHECK(refusal_of("--cpus", "0.0001") ==
        "0.0001 processors are less than 0.001 or more than 65536");
  CHECK(refusal_of("--cpu-weight", "0") ==
        "--cpu-weight: '0' is not a whole number from 1 to 10000");
  CHECK(refusal_of("--cpuset", "all") == "'all' is no list of processors, such as 0-3,6");
  CHECK(refusal_of("--pids", "0") == "--pids: '0' is not a whole number from 1 to 4194304");
  CHECK(refusal_of("--io-read", "/dev/vda") == "--io-read: '/dev/vda' is not DEVICE:RATE");
  CHECK(refusal_of("--io-write", "/dev/vda:fast") ==
        "--io-write: 'fast' is not a rate such as 80mbit, or as 10M bytes a second");
  CHECK(refusal({"--memory", "64M", "--no-init", "true"}) ==
        "without an init no memory can be limited");
}

TEST_CASE("rules are for a network that can have them") {
  const std::string rest = " needs --net routed or --net bridge";

  CHECK(refusal_of("--publish", "80:80") == "--publish" + rest);
  CHECK(refusal_of("--allow", "10.0.0.0/8") == "--allow" + rest);
  CHECK(refusal_of("--deny", "10.0.0.0/8") == "--deny" + rest);
  CHECK(refusal_of("--pool", "10.0.0.0/16") == "--pool" + rest);
  CHECK(refusal_of("--rate", "1mbit") == "--rate" + rest);
  CHECK(refusal({"--net", "user", "--rate", "1mbit", "true"}) == "--rate" + rest);
}

TEST_CASE("rules of a network that cannot be read are refused") {
  const auto refusal_of_rule = [](const char* flag, const char* value) {
    return refusal({"--net", "routed", flag, value, "true"});
  };

  CHECK(
      refusal_of_rule("--publish", "80") ==
      "--publish: '80' is no port to publish: [IP:]HOST:INNER[/udp], an IPv6 address in brackets");
  CHECK(refusal_of_rule("--publish", "1.2.3:80:80") ==
        "--publish: '1.2.3' is no IP address: one is like 192.0.2.1 or 2001:db8::1");
  CHECK(refusal_of_rule("--allow", "10.0.0.0/33") ==
        "--allow: '10.0.0.0/33' is no block of addresses: its length is a number from 0 to 32");
  CHECK(refusal_of_rule("--deny", "10.0.0.1:0") ==
        "--deny: '10.0.0.1:0' has no port after the colon, from 1 to 65535");
  CHECK(refusal_of_rule("--rate", "fast") == "--rate: 'fast' is not a rate such as 10mbit");
  CHECK(refusal_of_rule("--rate", "0bit") == "--rate: '0bit' is not a rate such as 10mbit");
  CHECK(refusal_of_rule("--pool", "ten") ==
        "--pool: 'ten' is no block of addresses: one is like 192.0.2.0/24 or 2001:db8::/32");
  CHECK(refusal({"--net", "routed", "--publish", "80:80", "--publish", "80:81", "true"}) ==
        "'80:80' and '80:81' publish one port twice");
}

TEST_CASE("what is refused is shown on one line, whatever is in it") {
  CHECK(refusal_of("--net", "a\nb\x1b[2J") ==
        "--net: 'a\\x0ab\\x1b[2J' is not none, host, user, routed or bridge");
  CHECK(refusal({"--a\nb", "true"}) == "unknown option '--a\\x0ab'");
}

TEST_CASE("help and version are no command") {
  const Ended help = sbx_run({"--help"});
  const Ended version = sbx_run({"--version"});

  CHECK(help.status == 0);
  CHECK(help.err.empty());
  CHECK(help.out.find("Usage: sbx-run [OPTIONS] [--] COMMAND [ARG]...\n") != std::string::npos);
  CHECK(help.out.find("Examples:") != std::string::npos);
  CHECK(version.status == 0);
  CHECK(version.out.starts_with("sbx-run "));
}
