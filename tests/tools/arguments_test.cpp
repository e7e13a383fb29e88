// SPDX-License-Identifier: Apache-2.0
//
// Where sbx-run's words end and the command's begin, and that these arrive as they are.
#include <doctest/doctest.h>
#include <unistd.h>

#include "support/command.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::Ended;
using sbx::test::sbx_run;
using sbx::test::TempDir;

namespace {

/// Each argument that a command gets, in angle brackets; `start` begins the command line.
std::string arrived(std::vector<std::string> start, const std::vector<std::string>& arguments) {
  start.insert(start.end(), {"sh", "-c", "printf '<%s>' \"$@\"", "sh"});
  start.insert(start.end(), arguments.begin(), arguments.end());
  return sbx_run(std::move(start)).out;
}

/// "" when sbx-run copes with 70,000 bytes in `flag`: it runs, or says why not, shortly and soon.
std::string cope(const std::string& flag, char byte) {
  const Ended ended = sbx_run({flag + "=" + std::string(70'000, byte), "--", "true"});
  const bool known = ended.status == 0 || ended.status == 125 || ended.status == 127;
  const bool told = ended.status == 0 || ended.err.ends_with('\n');
  const bool good = known && told && ended.err.size() < 500 && ended.cpu < 1s;
  return good ? "" : flag + ": status " + std::to_string(ended.status) + ", " + ended.err + " ";
}

std::string cope_all(char byte) {
  std::string complaints;
  for (const char* flag :
       {"--rootfs", "--overlay", "--bind",     "--ro-bind",  "--tmpfs",    "--user",
        "--userns", "--workdir", "--hostname", "--env",      "--keep-env", "--memory",
        "--swap",   "--cpus",    "--pids",     "--io-read",  "--io-write", "--cpu-weight",
        "--rlimit", "--timeout", "--cpu-time", "--net",      "--publish",  "--allow",
        "--deny",   "--rate",    "--cap-add",  "--cap-drop", "--seccomp",  "--ksm",
        "--name",   "--enter",   "--config",   "--report",   "--run-dir",  "--no-such-flag"}) {
    complaints += cope(flag, byte);
  }
  return complaints;
}

}  // namespace

TEST_CASE("the first word that is no option begins the command") {
  CHECK(arrived({}, {"a"}) == "<a>");
  CHECK(arrived({"--net", "none"}, {"a"}) == "<a>");
  CHECK(arrived({"--net=none", "--tmpfs", "/data"}, {"a"}) == "<a>");
}

TEST_CASE("two hyphens end the options and are no argument") {
  CHECK(arrived({"--"}, {"a"}) == "<a>");
  CHECK(arrived({"--net", "none", "--"}, {"a"}) == "<a>");
}

TEST_CASE("arguments that look like options of sbx-run are the command's") {
  const std::vector<std::string> words = {"--net", "bridge", "--",     "--overlay",
                                          "/tmp",  "--tty",  "--help", "--no-such"};
  const std::string same = "<--net><bridge><--><--overlay></tmp><--tty><--help><--no-such>";

  CHECK(arrived({}, words) == same);
  CHECK(arrived({"--"}, words) == same);
  CHECK(arrived({"--overlay"}, words) == same);
}

TEST_CASE("a program may be called like an option, behind two hyphens") {
  CHECK(sbx_run({"--", "--bind"}).err ==
        "sbx-run: cannot execute '--bind': No such file or directory\n");
  CHECK(sbx_run({"--", "--"}).err == "sbx-run: cannot execute '--': No such file or directory\n");
  CHECK(sbx_run({"--", "--bind"}).status == 127);
}

TEST_CASE("a word after --overlay is its directory when it is one, or when two hyphens follow") {
  const TempDir dir;

  CHECK(sbx_run({"--overlay", "echo", "shown"}).out == "shown\n");
  CHECK(sbx_run({"--overlay", "/no/such/place", "--", "true"}).err ==
        "sbx-run: cannot keep the overlay in '/no/such/place': No such file or directory\n");
  CHECK(sbx_run({"--dry-run", "--overlay", dir.path(), "true"}).out.find("command: true\n") !=
        std::string::npos);
}

TEST_CASE("an empty argument is an argument") { CHECK(arrived({}, {"", "a", ""}) == "<><a><>"); }

TEST_CASE("an empty command is refused") {
  CHECK(sbx_run({""}).err == "sbx-run: the command's name is empty\n");
  CHECK(sbx_run({"--", ""}).status == 125);
}

TEST_CASE("arguments need not be UTF-8") {
  CHECK(arrived({}, {"\xff\xfe\x80", "\xc3\x28", "a\nb\tc"}) ==
        "<\xff\xfe\x80><\xc3\x28><a\nb\tc>");
}

TEST_CASE("a value may have equals signs, colons and commas, spaces and brackets in it") {
  CHECK(sbx_run({"--env", "A=b=c,d:e f", "--", "sh", "-c", "echo \"$A\""}).out == "b=c,d:e f\n");
  CHECK(sbx_run({"--env=A=[b,c]", "--", "sh", "-c", "echo \"$A\""}).out == "[b,c]\n");
  CHECK(sbx_run({"--env", "A={x} %% \"y\" 'z'", "--", "sh", "-c", "echo \"$A\""}).out ==
        "{x} %% \"y\" 'z'\n");
  CHECK(sbx_run({"--env", "A=--net", "--", "sh", "-c", "echo \"$A\""}).out == "--net\n");
}

TEST_CASE("a thousand arguments arrive") {
  const std::vector<std::string> words(1000, "word");

  CHECK(arrived({}, words).size() == 1000 * std::string("<word>").size());
}

TEST_CASE("a flag can be given a thousand times") {
  std::vector<std::string> words;
  for (int i = 0; i < 1000; ++i) {
    words.insert(words.end(), {"--env", "V" + std::to_string(i) + "=" + std::to_string(i)});
  }
  words.insert(words.end(), {"--", "sh", "-c", "echo $V0 $V500 $V999"});

  CHECK(sbx_run(words).out == "0 500 999\n");
}

TEST_CASE("a hundred thousand bytes of arguments and of environment arrive") {
  const std::string big(100'000, 'x');

  const Ended ended =
      sbx_run({"--env", "BIG=" + big, "--", "sh", "-c", "printf '%s %s' ${#1} ${#BIG}", "sh", big});

  CHECK(ended.out == "100000 100000");
  CHECK(ended.err.empty());
}

TEST_CASE("a megabyte of arguments arrives") {
  const std::vector<std::string> words(10, std::string(100'000, 'x'));

  CHECK(arrived({}, words).size() == 10 * 100'002);
}

TEST_CASE("seventy thousand bytes in any value are dealt with shortly and soon") {
  CHECK(cope_all('x') == "");
  CHECK(cope_all('9') == "");
  CHECK(cope_all('/') == "");
  CHECK(cope_all(':') == "");
}

TEST_CASE("a program's name of seventy thousand bytes is dealt with shortly") {
  const Ended ended = sbx_run({"--", std::string(70'000, 'x')});

  CHECK(ended.status == 126);
  CHECK(ended.err.size() < 500);
}
