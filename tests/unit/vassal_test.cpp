// SPDX-License-Identifier: Apache-2.0
#include "sbx/host/vassal.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sbx/error.hpp>
#include <stdexcept>

#include "support/require.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::Bind;
using sbx::MemoryMerge;
using sbx::Spec;
using sbx::host::parse_vassal;
using sbx::host::VassalFile;
using sbx::test::TempDir;

namespace {

VassalFile parse(const std::string& text) { return parse_vassal(text, "/v/alice.toml"); }

/// What is said about a text, without the file's name.
std::string fault(const std::string& text) {
  try {
    (void)parse(text);
  } catch (const std::invalid_argument& error) {
    const std::string said = error.what();
    const std::string start = "/v/alice.toml, ";
    return said.starts_with(start) ? said.substr(start.size()) : said;
  }
  return "nothing";
}

/// The same for one line of [sandbox], which is line 2.
std::string sandbox_fault(const std::string& line) { return fault("[sandbox]\n" + line); }

std::string network_fault(const std::string& line) { return fault("[network]\n" + line); }

Spec applied(const std::string& text, Spec spec = {}) {
  sbx::host::apply(parse(text), "/distros", spec);
  return spec;
}

std::string apply_fault(const std::string& text) {
  try {
    (void)applied(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing";
}

std::filesystem::path write(const TempDir& folder, const std::string& text) {
  std::filesystem::path path = folder.path() / "alice.toml";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// What read_vassal_file throws for `path`: its errno, and its words without the folder.
std::pair<int, std::string> read_error(const std::filesystem::path& path) {
  try {
    (void)sbx::host::read_vassal_file(path);
  } catch (const sbx::SystemError& error) {
    std::string said = error.what();
    const std::string folder = path.parent_path().native() + "/";
    if (const auto at = said.find(folder); at != std::string::npos) said.erase(at, folder.size());
    return {error.code().value(), said};
  }
  return {0, "nothing"};
}

}  // namespace

// --- what a file may say -------------------------------------------------------------------------

TEST_CASE("an empty vassal file says nothing") {
  const VassalFile file = parse("");

  CHECK(file.places.empty());
  CHECK_FALSE(file.sandbox.user);
  CHECK_FALSE(file.network.internet);
  CHECK(file.tenant() == "alice");
}

TEST_CASE("every key of [sandbox] is read in its unit") {
  const auto sandbox = parse(R"(
[sandbox]
user = "alice"
distro = "bookworm"
home = "/srv/alice"
hostname = "alice.example"
memory = "256M"
cpus = 0.5
cpu_weight = 100
cpu_allowance = "2h/day"
pids = 128
disk = "2G"
ksm = "deep"
env = { LANG = "C.UTF-8", EMPTY = "" }
bind = ["/srv/shared:/opt/shared:ro", "/srv/work:/work"]
)")
                           .sandbox;

  CHECK(sandbox.user == "alice");
  CHECK(sandbox.distro == "bookworm");
  CHECK(sandbox.home == "/srv/alice");
  CHECK(sandbox.hostname == "alice.example");
  CHECK(sandbox.memory_bytes == 256U << 20);
  CHECK(sandbox.cpus == 0.5);
  CHECK(sandbox.cpu_weight == 100U);
  CHECK(sandbox.cpu_time_per_day == 2h);
  CHECK(sandbox.pids == 128U);
  CHECK(sandbox.disk_bytes == std::uint64_t{2} << 30);
  CHECK(sandbox.memory_merge == MemoryMerge::kDeep);
  CHECK(sandbox.environment == std::vector<std::string>{"EMPTY=", "LANG=C.UTF-8"});
  REQUIRE(sandbox.binds.size() == 2);
  CHECK(sandbox.binds[0].source == "/srv/shared");
  CHECK(sandbox.binds[0].target == "/opt/shared");
  CHECK(sandbox.binds[0].read_only);
  CHECK(sandbox.binds[1].target == "/work");
  CHECK_FALSE(sandbox.binds[1].read_only);
}

TEST_CASE("every key of [network] is read in its unit") {
  const auto network = parse(R"(
[network]
internet = true
rate = "50mbit"
publish = ["8022:22"]
allow = ["10.0.0.5:5432"]
deny = ["10.0.0.0/8"]
)")
                           .network;

  CHECK(network.internet == true);
  CHECK(network.rate_bits_per_second == 50'000'000U);
  CHECK(network.publish == std::vector<std::string>{"8022:22"});
  CHECK(network.allow == std::vector<std::string>{"10.0.0.5:5432"});
  CHECK(network.deny == std::vector<std::string>{"10.0.0.0/8"});
}

TEST_CASE("a user may be given by number, and merging be on or off") {
  CHECK(parse("sandbox.uid = 30001").sandbox.uid == 30001U);
  CHECK(parse("sandbox.uid = 4294967294").sandbox.uid == 4294967294U);
  CHECK(parse("sandbox.ksm = true").sandbox.memory_merge == MemoryMerge::kOn);
  CHECK(parse("sandbox.ksm = false").sandbox.memory_merge == MemoryMerge::kOff);
  CHECK(parse("sandbox.cpus = 2").sandbox.cpus == 2.0);
}

TEST_CASE("the tables of a tenant's services are left to others") {
  const VassalFile file = parse(
      "[app]\nkind = 'wsgi'\n[http]\ndomains = []\n[[daemon]]\nname = 'redis'\n[[cron]]\nname = "
      "'cleanup'\n");

  CHECK(file.places.empty());
}

TEST_CASE("a key that is set can be located") {
  const VassalFile file = parse("[sandbox]\n  pids = 1\n");

  CHECK(file.places.size() == 1);
  CHECK(locate(file, "sandbox.pids") == "/v/alice.toml, line 2, column 3: sandbox.pids");
}

// --- files that cannot be read -------------------------------------------------------------------

TEST_CASE("a vassal file is read from the disk") {
  const TempDir folder;

  const VassalFile file =
      sbx::host::read_vassal_file(write(folder, "\xef\xbb\xbf[sandbox]\r\npids = 3\r\n"));

  CHECK(file.sandbox.pids == 3U);
  CHECK(file.path == folder.path() / "alice.toml");
}

TEST_CASE("a vassal file that is not there, or is none, is named") {
  const TempDir folder;
  std::filesystem::create_directory(folder.path() / "directory");

  CHECK(read_error(folder.path() / "absent.toml") ==
        std::pair(ENOENT, std::string("cannot read 'absent.toml': No such file or directory")));
  CHECK(read_error(folder.path() / "directory") ==
        std::pair(EISDIR, std::string("cannot read 'directory': Is a directory")));
}

TEST_CASE("a vassal file without permission is named") {
  SBX_REQUIRE_ORDINARY_USER();
  const TempDir folder;
  const auto path = write(folder, "");
  REQUIRE(::chmod(path.c_str(), 0) == 0);

  CHECK(read_error(path) ==
        std::pair(EACCES, std::string("cannot read 'alice.toml': Permission denied")));
}

TEST_CASE("a FIFO that nobody writes to is an empty vassal file") {
  const TempDir folder;
  const auto path = folder.path() / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);

  CHECK(sbx::host::read_vassal_file(path).places.empty());
}

TEST_CASE("a vassal file has at most 1 MiB") {
  const TempDir folder;

  CHECK(read_error(write(folder, std::string(1 << 20, '\n'))).second == "nothing");
  CHECK(read_error(write(folder, std::string((1 << 20) + 1, '\n'))) ==
        std::pair(EFBIG, std::string("cannot read 'alice.toml': File too large; a vassal file has "
                                     "at most 1 MiB")));
}

TEST_CASE("the name of a file is made printable") {
  CHECK_THROWS_WITH_AS((void)parse_vassal("x = 1", "a\nb"),
                       "a\\x0ab, line 1, column 1: x is not known", std::invalid_argument);
}

// --- text that is not TOML -----------------------------------------------------------------------

TEST_CASE("text that is not TOML is refused with line and column") {
  CHECK(sandbox_fault("memory = 256M") ==
        "line 2, column 13: this is not TOML: decimal integer: expected digit, saw 'M'");
  CHECK(fault("[sandbox\n") ==
        "line 1, column 9: this is not TOML: table header: expected ']', saw '\\n'");
  CHECK(sandbox_fault("pids = 1\npids = 2") ==
        "line 3, column 8: this is not TOML: key-value pair: cannot redefine existing integer "
        "'pids'");
  CHECK(sandbox_fault("home = \"/\xff\"") ==
        "line 2, column 9: this is not TOML: Encountered invalid utf-8 sequence");
}

TEST_CASE("what is quoted of text that is not TOML is one printable line") {
  CHECK(fault("a = 1 \x01").find_first_of("\n\x01") == std::string::npos);
  CHECK(fault(std::string("a = 1 \0", 7)).find('\0') == std::string::npos);
}

TEST_CASE("a key of very many parts is refused before it is made into tables") {
  std::string key = "a";
  for (int i = 0; i < 300'000; ++i) key += ".a";

  CHECK(fault(key + " = 1") == "line 1, column 32: a key has more than 16 parts");
  CHECK(fault("# é\n[" + key + "]") == "line 2, column 33: a key has more than 16 parts");
  CHECK(fault("a = '''\n\"'''\n\"é\"." + key + " = 1") ==
        "line 3, column 34: a key has more than 16 parts");
}

TEST_CASE("text that breaks what toml++ asserts is refused with line and column") {
  CHECK(fault("# first\n[= 1]\n") == "line 2, column 2: this is not TOML");
  CHECK(fault("\napp = [ } ]\n") == "line 2, column 9: this is not TOML");
}

TEST_CASE("characters that are not ASCII are read in strings and refused elsewhere") {
  CHECK(parse("sandbox.home = '/srv/é'").sandbox.home == "/srv/é");
  CHECK(parse("sandbox.env.A = \"\"\"\\\né\"\"\"").sandbox.environment[0] == "A=é");
  CHECK(fault("a = 1é") ==
        "line 1, column 6: this is not TOML: decimal integer: expected digit, saw 'é'");
}

TEST_CASE("dots are counted in keys alone, and in each by itself") {
  const std::string dots(40, '.');

  CHECK(fault("# " + dots + "\napp.a = '" + dots + "'\napp.\"" + dots + "\".b = \"\\\"" + dots +
              "\"") == "nothing");
  CHECK(fault("app.a = \"\"\"" + dots + "\n\\\"\"\"" + dots + "\"\"\"\"\"\napp.b = '''" + dots +
              "'''''\napp.c = 1") == "nothing");
  CHECK(fault("app = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, "
              "1.5, 1.5]") == "nothing");
  CHECK(fault("app.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o = 1") == "nothing");
  CHECK(fault("app.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p = 1") ==
        "line 1, column 34: a key has more than 16 parts");
}

TEST_CASE("a long key is found after a string that ends in a quote of its own") {
  const std::string key = "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q";

  CHECK(fault("app = [''''''', { " + key + " = 1 }]") ==
        "line 1, column 50: a key has more than 16 parts");
}

TEST_CASE("values that nest too deeply are refused") {
  CHECK(fault("app = " + std::string(500'000, '[')) ==
        "line 1, column 23: this is not TOML: value: exceeded maximum nested value depth of 16 "
        "(TOML_MAX_NESTED_VALUES)");
}

// --- keys that are not known ---------------------------------------------------------------------

TEST_CASE("an unknown key is refused, with the one that was meant") {
  CHECK(sandbox_fault("pids = 1\nmemroy = '1M'") ==
        "line 3, column 1: sandbox.memroy is not known; did you mean memory?");
  CHECK(sandbox_fault("  User = 'alice'") ==
        "line 2, column 3: sandbox.User is not known; did you mean user?");
  CHECK(network_fault("allows = []") ==
        "line 2, column 1: network.allows is not known; did you mean allow?");
  CHECK(fault("[netwrk]\n") == "line 1, column 2: netwrk is not known; did you mean network?");
}

TEST_CASE("an unknown key that is like none is refused without a guess") {
  CHECK(sandbox_fault("colour = 'blue'") == "line 2, column 1: sandbox.colour is not known");
  CHECK(sandbox_fault("xyz = 1") == "line 2, column 1: sandbox.xyz is not known");
  CHECK(fault("[\"a\\nb\"]\n") == "line 1, column 2: a\\x0ab is not known");
}

TEST_CASE("the name of an unknown key is shortened") {
  const std::string key(70'000, 'k');

  CHECK(sandbox_fault(key + " = 1") == "line 2, column 1: sandbox." + std::string(60, 'k') +
                                           "...(70000 bytes)..." + std::string(60, 'k') +
                                           " is not known");
}

TEST_CASE("the first fault of a file is the one that is reported") {
  CHECK(fault("[network]\nzzz = 1\naaa = 1\n[sandbox]\naaa = 1\n") ==
        "line 2, column 1: network.zzz is not known");
}

// --- values of a wrong type ----------------------------------------------------------------------

TEST_CASE("a value of a wrong type is refused with the one that was expected") {
  CHECK(sandbox_fault("user = 1") ==
        "line 2, column 8: sandbox.user must be a string, not a whole number");
  CHECK(sandbox_fault("uid = 'alice'") ==
        "line 2, column 7: sandbox.uid must be a whole number, not a string");
  CHECK(sandbox_fault("distro = true") ==
        "line 2, column 10: sandbox.distro must be a string, not true or false");
  CHECK(sandbox_fault("home = []") ==
        "line 2, column 8: sandbox.home must be an absolute path, not an array");
  CHECK(sandbox_fault("hostname = {}") ==
        "line 2, column 12: sandbox.hostname must be a string, not a table");
  CHECK(sandbox_fault("memory = 268435456") ==
        "line 2, column 10: sandbox.memory must be a size such as \"64K\", \"256M\" or \"2G\", not "
        "a whole number");
  CHECK(sandbox_fault("cpus = '1'") ==
        "line 2, column 8: sandbox.cpus must be a number, not a string");
  CHECK(sandbox_fault("cpu_weight = 1.5") ==
        "line 2, column 14: sandbox.cpu_weight must be a whole number, not a number with a "
        "fraction");
  CHECK(sandbox_fault("cpu_allowance = 02:00:00") ==
        "line 2, column 17: sandbox.cpu_allowance must be a time per day such as \"2h/day\" or "
        "\"90m/day\", not a time");
  CHECK(sandbox_fault("pids = 2026-01-01") ==
        "line 2, column 8: sandbox.pids must be a whole number, not a date");
  CHECK(sandbox_fault("disk = 2026-01-01T00:00:00") ==
        "line 2, column 8: sandbox.disk must be a size such as \"64K\", \"256M\" or \"2G\", not a "
        "date and time");
  CHECK(sandbox_fault("ksm = 1") ==
        "line 2, column 7: sandbox.ksm must be true, false or \"deep\", not a whole number");
}

TEST_CASE("a list or table of a wrong type, or with a wrong element, is refused at its place") {
  CHECK(sandbox_fault("env = ['A=1']") ==
        "line 2, column 7: sandbox.env must be a table, not an array");
  CHECK(sandbox_fault("env = { A = 1 }") ==
        "line 2, column 13: sandbox.env.A must be a string, not a whole number");
  CHECK(sandbox_fault("bind = '/a:/b'") ==
        "line 2, column 8: sandbox.bind must be an array, not a string");
  CHECK(sandbox_fault("bind = ['/a:/b',\n 1]") ==
        "line 3, column 2: sandbox.bind must be \"SRC:DST\" or \"SRC:DST:ro\" with absolute paths, "
        "not a whole number");
  CHECK(network_fault("internet = 'yes'") ==
        "line 2, column 12: network.internet must be true or false, not a string");
  CHECK(network_fault("rate = 50") ==
        "line 2, column 8: network.rate must be a rate such as \"800kbit\", \"50mbit\" or "
        "\"1gbit\", not a whole number");
  CHECK(network_fault("publish = '1:2'") ==
        "line 2, column 11: network.publish must be an array, not a string");
  CHECK(network_fault("allow = [[]]") ==
        "line 2, column 10: network.allow must be a string, not an array");
  CHECK(network_fault("deny = [1]") ==
        "line 2, column 9: network.deny must be a string, not a whole number");
}

TEST_CASE("a table of a wrong type is refused") {
  CHECK(fault("sandbox = 1") == "line 1, column 11: sandbox must be a table, not a whole number");
  CHECK(fault("[[network]]\n") == "line 1, column 1: network must be a table, not an array");
}

// --- values that say nothing sensible ------------------------------------------------------------

TEST_CASE("a wrong size, rate or time is refused") {
  const std::string size = "is not a size such as \"64K\", \"256M\" or \"2G\"";
  const std::string rate = "is not a rate such as \"800kbit\", \"50mbit\" or \"1gbit\"";
  const std::string time = "is not a time per day such as \"2h/day\" or \"90m/day\"";

  CHECK(sandbox_fault("memory = '12X'") == "line 2, column 10: sandbox.memory: '12X' " + size);
  CHECK(sandbox_fault("memory = '-1M'") == "line 2, column 10: sandbox.memory: '-1M' " + size);
  CHECK(sandbox_fault("memory = '0'") == "line 2, column 10: sandbox.memory: '0' " + size);
  CHECK(sandbox_fault("disk = '17179869184G'") ==
        "line 2, column 8: sandbox.disk: '17179869184G' " + size);
  CHECK(network_fault("rate = '50'") == "line 2, column 8: network.rate: '50' " + rate);
  CHECK(network_fault("rate = '0mbit'") == "line 2, column 8: network.rate: '0mbit' " + rate);
  CHECK(network_fault("rate = '50MB'") == "line 2, column 8: network.rate: '50MB' " + rate);
  CHECK(sandbox_fault("cpu_allowance = '2h'") ==
        "line 2, column 17: sandbox.cpu_allowance: '2h' " + time);
  CHECK(sandbox_fault("cpu_allowance = '2y/day'") ==
        "line 2, column 17: sandbox.cpu_allowance: '2y/day' " + time);
  CHECK(sandbox_fault("cpu_allowance = '0s/day'") ==
        "line 2, column 17: sandbox.cpu_allowance: '0s/day' " + time);
}

TEST_CASE("a number out of its range is refused") {
  CHECK(sandbox_fault("uid = 0") ==
        "line 2, column 7: sandbox.uid: '0' is not a whole number from 1 to 4294967294");
  CHECK(sandbox_fault("uid = 4294967295") ==
        "line 2, column 7: sandbox.uid: '4294967295' is not a whole number from 1 to 4294967294");
  CHECK(sandbox_fault("cpu_weight = 10001") ==
        "line 2, column 14: sandbox.cpu_weight: '10001' is not a whole number from 1 to 10000");
  CHECK(sandbox_fault("pids = -1") ==
        "line 2, column 8: sandbox.pids: '-1' is not a whole number from 1 to 4194304");
  CHECK(sandbox_fault("pids = 4194305") ==
        "line 2, column 8: sandbox.pids: '4194305' is not a whole number from 1 to 4194304");
}

TEST_CASE("a number of processors is positive and finite") {
  const std::string expected = "' is not a positive number such as 0.5 or 2";

  CHECK(sandbox_fault("cpus = nan") == "line 2, column 8: sandbox.cpus: 'nan" + expected);
  CHECK(sandbox_fault("cpus = inf") == "line 2, column 8: sandbox.cpus: 'inf" + expected);
  CHECK(sandbox_fault("cpus = -inf") == "line 2, column 8: sandbox.cpus: '-inf" + expected);
  CHECK(sandbox_fault("cpus = -0.5") == "line 2, column 8: sandbox.cpus: '-0.5" + expected);
  CHECK(sandbox_fault("cpus = 0") == "line 2, column 8: sandbox.cpus: '0" + expected);
  CHECK(sandbox_fault("cpus = 1e300") == "line 2, column 8: sandbox.cpus: '1e+300" + expected);
}

TEST_CASE("a wrong name is refused") {
  CHECK(sandbox_fault("user = 'a b'") ==
        "line 2, column 8: sandbox.user: 'a b' is not a name of a user");
  CHECK(sandbox_fault("user = '..'") ==
        "line 2, column 8: sandbox.user: '..' is not a name of a user");
  CHECK(sandbox_fault("user = '1000'") ==
        "line 2, column 8: sandbox.user: '1000' is not a name of a user");
  CHECK(sandbox_fault("user = '" + std::string(33, 'a') + "'") ==
        "line 2, column 8: sandbox.user: '" + std::string(33, 'a') + "' is not a name of a user");
  CHECK(sandbox_fault("user = 'a/b'") ==
        "line 2, column 8: sandbox.user: 'a/b' is not a name of a user");
  CHECK(sandbox_fault("distro = 'a/../b'") ==
        "line 2, column 10: sandbox.distro: 'a/../b' is not a name of a distro");
  CHECK(sandbox_fault("distro = '../../etc'") ==
        "line 2, column 10: sandbox.distro: '../../etc' is not a name of a distro");
  CHECK(sandbox_fault("hostname = '-a'") ==
        "line 2, column 12: sandbox.hostname: '-a' is not a hostname");
  CHECK(sandbox_fault("hostname = \"a\\nb\"") ==
        "line 2, column 12: sandbox.hostname: 'a\\x0ab' is not a hostname");
  CHECK(sandbox_fault("hostname = '" + std::string(65, 'a') + "'") ==
        "line 2, column 12: sandbox.hostname: '" + std::string(65, 'a') + "' is not a hostname");
  CHECK(sandbox_fault("env = { 'A=B' = '1' }") ==
        "line 2, column 17: sandbox.env.A=B is no name of a variable");
  CHECK(sandbox_fault("env = { '' = '1' }") ==
        "line 2, column 14: sandbox.env. is no name of a variable");
}

TEST_CASE("a wrong path is refused") {
  const std::string bind = "' is not \"SRC:DST\" or \"SRC:DST:ro\" with absolute paths";

  CHECK(sandbox_fault("home = 'alice'") ==
        "line 2, column 8: sandbox.home: 'alice' is not an absolute path");
  CHECK(sandbox_fault("bind = ['/a']") == "line 2, column 9: sandbox.bind: '/a" + bind);
  CHECK(sandbox_fault("bind = ['a:/b']") == "line 2, column 9: sandbox.bind: 'a:/b" + bind);
  CHECK(sandbox_fault("bind = ['/a:']") == "line 2, column 9: sandbox.bind: '/a:" + bind);
  CHECK(sandbox_fault("bind = ['/a:/b:rw']") == "line 2, column 9: sandbox.bind: '/a:/b:rw" + bind);
  CHECK(sandbox_fault("bind = ['/a:/b:ro:']") ==
        "line 2, column 9: sandbox.bind: '/a:/b:ro:" + bind);
}

TEST_CASE("another word for merging is refused") {
  CHECK(sandbox_fault("ksm = 'shallow'") ==
        "line 2, column 7: sandbox.ksm: 'shallow' is not true, false or \"deep\"");
}

TEST_CASE("an empty string is refused") {
  CHECK(sandbox_fault("user = ''") == "line 2, column 8: sandbox.user is empty");
  CHECK(sandbox_fault("home = ''") == "line 2, column 8: sandbox.home is empty");
  CHECK(sandbox_fault("memory = ''") == "line 2, column 10: sandbox.memory is empty");
  CHECK(sandbox_fault("ksm = ''") == "line 2, column 7: sandbox.ksm is empty");
  CHECK(sandbox_fault("bind = ['']") == "line 2, column 9: sandbox.bind is empty");
  CHECK(network_fault("publish = ['']") == "line 2, column 12: network.publish is empty");
}

TEST_CASE("a string that is too long is refused") {
  const std::string long_text(70'000, 'x');

  CHECK(sandbox_fault("hostname = '" + long_text + "'") ==
        "line 2, column 12: sandbox.hostname is longer than 4095 bytes: it has 70000");
  CHECK(sandbox_fault("home = '/" + long_text + "'") ==
        "line 2, column 8: sandbox.home is longer than 4095 bytes: it has 70001");
  CHECK(sandbox_fault("env = { A = '" + long_text + "' }") ==
        "line 2, column 13: sandbox.env.A is longer than 65535 bytes: it has 70000");
}

TEST_CASE("a NUL in a string is refused") {
  CHECK(sandbox_fault("home = \"/a\\u0000b\"") == "line 2, column 8: sandbox.home holds a NUL");
  CHECK(sandbox_fault("env = { A = \"\\u0000\" }") ==
        "line 2, column 13: sandbox.env.A holds a NUL");
}

TEST_CASE("a user is given by name or by number and not by both") {
  CHECK(sandbox_fault("uid = 30001\nuser = 'alice'") ==
        "line 2, column 1: sandbox.uid and sandbox.user exclude each other");
}

// --- what becomes of a Spec ----------------------------------------------------------------------

TEST_CASE("what a vassal file does not say leaves a spec as it is") {
  Spec given;
  given.hostname = "old";
  given.limits.pids = 7;
  given.command.environment = {"A=1"};

  const Spec spec = applied("", given);

  CHECK(spec.hostname == "old");
  CHECK(spec.limits.pids == 7U);
  CHECK(spec.command.environment == std::vector<std::string>{"A=1"});
  CHECK_FALSE(spec.user);
  CHECK(spec.mounts.empty());
}

TEST_CASE("single values of a vassal file replace those of a spec") {
  Spec given;
  given.hostname = "old";
  given.root.directory = "/old";

  const Spec spec = applied(
      "[sandbox]\nhostname = 'new'\ndistro = 'bookworm'\nksm = 'deep'\nmemory = '1G'\ncpus = "
      "1.5\ncpu_weight = 50\npids = 9\n",
      given);

  CHECK(spec.hostname == "new");
  CHECK(spec.root.directory == "/distros/bookworm");
  CHECK(spec.memory_merge == MemoryMerge::kDeep);
  CHECK(spec.limits ==
        sbx::Limits{
            .memory_bytes = 1U << 30, .swap_bytes = {}, .cpus = 1.5, .cpu_weight = 50, .pids = 9});
}

TEST_CASE("the distro called host is the host's programs") {
  Spec given;
  given.root.directory = "/old";

  CHECK(applied("sandbox.distro = 'host'", given).root.directory.empty());
}

TEST_CASE("variables and mounts of a vassal file add to those of a spec") {
  Spec given;
  given.command.environment = {"A=1", "B=1"};
  given.mounts.emplace_back(Bind{.source = "/old", .target = "/old"});

  const Spec spec = applied("[sandbox]\nenv = { B = '2' }\nbind = ['/a:/b:ro']", given);

  CHECK(spec.command.environment == std::vector<std::string>{"A=1", "B=2"});
  REQUIRE(spec.mounts.size() == 2);
  CHECK(std::get<Bind>(spec.mounts[1]).source == "/a");
  CHECK(std::get<Bind>(spec.mounts[1]).target == "/b");
  CHECK(std::get<Bind>(spec.mounts[1]).read_only);
}

TEST_CASE("a user by number is called as the tenant, and his home is there") {
  const Spec spec = applied("[sandbox]\nuid = 30001\nhome = '/srv/a'\nbind = ['/c:/d']");

  CHECK(
      spec.user ==
      sbx::User{.uid = 30001, .gid = 30001, .name = "alice", .home = "/home/alice", .groups = {}});
  CHECK(spec.command.workdir == "/home/alice");
  REQUIRE(spec.mounts.size() == 2);
  CHECK(std::get<Bind>(spec.mounts[0]).source == "/srv/a");
  CHECK(std::get<Bind>(spec.mounts[0]).target == "/home/alice");
  CHECK_FALSE(std::get<Bind>(spec.mounts[0]).read_only);
}

TEST_CASE("a file whose name is no user's gives the usual name") {
  Spec spec;

  sbx::host::apply(parse_vassal("sandbox.uid = 30001", "/v/my tenant.toml"), "/distros", spec);

  CHECK(spec.user->name == "sandbox");
}

TEST_CASE("a user by name is an account of the host") {
  const Spec spec = applied("[sandbox]\nuser = 'nobody'\nhome = '/srv/a'");

  CHECK(spec.user->uid == 65534);
  CHECK(spec.user->name == "nobody");
  CHECK(spec.user->home == "/home/nobody");
}

TEST_CASE("a home without a user is that of whom the program would be") {
  const Spec spec = applied("sandbox.home = '/srv/a'");

  REQUIRE(spec.user);
  CHECK(spec.user->uid == (::geteuid() == 0 ? 1000 : ::geteuid()));
  CHECK(spec.user->home == std::filesystem::path("/home") / spec.user->name);
}

TEST_CASE("a home goes to the user that a spec has already") {
  Spec given;
  given.user = sbx::User{.uid = 5, .gid = 6, .name = "bob", .home = {}, .groups = {7}};

  const Spec spec = applied("sandbox.home = '/srv/a'", given);

  CHECK(spec.user ==
        sbx::User{.uid = 5, .gid = 6, .name = "bob", .home = "/home/bob", .groups = {7}});
}

TEST_CASE("a user that the host does not have, or that is root, is refused at its place") {
  CHECK(apply_fault("[sandbox]\nuser = 'nonesuch'") ==
        "/v/alice.toml, line 2, column 1: sandbox.user: there is no user 'nonesuch'");
  CHECK(apply_fault("[sandbox]\nuser = 'root'") ==
        "/v/alice.toml, line 2, column 1: sandbox.user: 'root' is root");
}
