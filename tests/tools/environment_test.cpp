// SPDX-License-Identifier: Apache-2.0
//
// What the command gets from the caller: variables, directory, umask, priority, input and output.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>

#include "support/command.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::test::Ended;
using sbx::test::sbx_run;
using sbx::test::sbx_run_shell;
using sbx::test::sbx_run_start;
using sbx::test::Start;
using sbx::test::TempDir;

namespace {

Start start_shell(std::vector<std::string> flags, std::string script) {
  flags.insert(flags.end(), {"--", "sh", "-c", std::move(script)});
  return sbx_run_start(std::move(flags));
}

/// The variables that a command sees, sorted, when sbx-run is called with `environment`.
std::string variables(std::vector<std::string> flags, std::vector<std::string> environment) {
  flags.insert(flags.end(), {"--", "/usr/bin/env"});
  Start start = sbx_run_start(std::move(flags));
  start.environment = std::move(environment);
  return sbx::test::run({.argv = {"sort"}}, sbx::test::run(start).out).out;
}

const std::vector<std::string> kFull = {
    "PATH=/usr/bin:/bin", "HOME=/somewhere", "TERM=vt100", "LANG=C",
    "TZ=Asia/Tokyo",      "LC_ALL=C",        "SECRET=key", "LD_PRELOAD="};

}  // namespace

TEST_CASE("root's command gets PATH, TERM, LANG and TZ, and a home of its own") {
  SBX_REQUIRE_ROOT();
  CHECK(variables({}, kFull) ==
        "HOME=/home/sandbox\nLANG=C\nPATH=/usr/bin:/bin\nTERM=vt100\nTZ=Asia/Tokyo\n");
}

TEST_CASE("an ordinary user's command gets PATH, HOME, TERM, LANG and TZ") {
  SBX_REQUIRE_ORDINARY_USER();
  CHECK(variables({}, kFull) ==
        "HOME=/somewhere\nLANG=C\nPATH=/usr/bin:/bin\nTERM=vt100\nTZ=Asia/Tokyo\n");
}

TEST_CASE("without an environment the command has a PATH and a HOME") {
  const std::string all = variables({}, {});

  CHECK(all.find("HOME=/") == 0);
  CHECK(all.find("\nPATH=/") != std::string::npos);
  CHECK(std::count(all.begin(), all.end(), '\n') == 2);
}

TEST_CASE("a variable can be set, kept, and set in place of one that is kept") {
  const std::string all = variables(
      {"--env", "A=1", "--env", "A=2", "--keep-env", "SECRET", "--keep-env", "LC_ALL", "--env",
       "LC_ALL=C.UTF-8", "--keep-env", "ABSENT", "--env", "EMPTY=", "--env", "LANG=de"},
      kFull);

  CHECK(all.find("A=2\nEMPTY=\nHOME=") == 0);
  CHECK(all.find("\nLANG=de\nLC_ALL=C.UTF-8\nPATH=") != std::string::npos);
  CHECK(all.find("\nSECRET=key\n") != std::string::npos);
  CHECK(all.find("ABSENT") == std::string::npos);
}

TEST_CASE("the program is looked for in the PATH that it gets") {
  const TempDir dir;
  std::ofstream(dir.path() / "tool") << "#!/bin/sh\necho found\n";
  ::chmod((dir.path() / "tool").c_str(), 0755);

  const Ended ended =
      sbx_run({"--ro-bind", dir.path().native() + ":/box", "--env", "PATH=/bin:/box", "tool"});

  CHECK(ended.out == "found\n");
}

TEST_CASE("the umask is kept") {
  Start start = start_shell({}, "umask; touch /tmp/f; stat -c %a /tmp/f");
  start.before_exec = [] { ::umask(027); };

  CHECK(sbx::test::run(start).out == "0027\n640\n");
}

TEST_CASE("the nice value is kept") {
  Start start = start_shell({}, "nice");
  start.before_exec = [] { ::setpriority(PRIO_PROCESS, 0, 7); };

  CHECK(sbx::test::run(start).out == "7\n");
}

TEST_CASE("a resource limit of the caller's is kept, and lowered by its flag") {
  Start start = start_shell({}, "ulimit -Sn; ulimit -Hn");
  start.before_exec = [] {
    const rlimit limit{.rlim_cur = 100, .rlim_max = 200};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  };

  CHECK(sbx::test::run(start).out == "100\n200\n");
  CHECK(sbx_run_shell({"--rlimit", "nofile=50:60"}, "ulimit -Sn; ulimit -Hn").out == "50\n60\n");
}

TEST_CASE("a hard limit that cannot be raised is refused by its name") {
  Start start = start_shell({"--rlimit", "core=0", "--rlimit", "nofile=300"}, "true");
  start.before_exec = [] {
    const rlimit limit{.rlim_cur = 100, .rlim_max = 200};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  };

  CHECK(sbx::test::run(start).err ==
        "sbx-run: cannot set the resource limit 'nofile': Operation not permitted; only "
        "CAP_SYS_RESOURCE can raise a hard limit\n");
}

TEST_CASE("the working directory is kept where it is there inside") {
  Start start = start_shell({}, "pwd");
  start.directory = "/usr/lib";

  CHECK(sbx::test::run(start).out == "/usr/lib\n");
}

TEST_CASE("the working directory is kept where a bind grants it") {
  const TempDir dir;
  Start start = start_shell({"--bind", "."}, "pwd; echo made > file");
  start.directory = dir.path();

  CHECK(sbx::test::run(start).out == dir.path().native() + "\n");
  struct stat status {};
  REQUIRE(::stat((dir.path() / "file").c_str(), &status) == 0);
  CHECK(status.st_uid == ::geteuid());
}

TEST_CASE("a working directory that is not there inside becomes the home") {
  const TempDir dir;
  Start start = start_shell({}, "test \"$PWD\" = \"$HOME\" && echo home");
  start.environment = {"PATH=/usr/bin:/bin"};
  start.directory = dir.path();

  CHECK(sbx::test::run(start).out == "home\n");
}

TEST_CASE("a working directory that is asked for must be there") {
  CHECK(sbx_run({"--workdir", "/usr/lib", "pwd"}).out == "/usr/lib\n");
  const Ended absent = sbx_run({"--workdir", "/no/such/place", "pwd"});
  CHECK(absent.status == 125);
  CHECK(absent.err ==
        "sbx-run: cannot change to the working directory '/no/such/place': No such file or "
        "directory\n");
}

TEST_CASE("a hundred megabytes go through unchanged") {
  std::string data(100U << 20, '\0');
  std::uint32_t state = 1;
  for (char& byte : data) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);

  const Ended ended = sbx_run({"cat"}, data);

  CHECK(ended.status == 0);
  CHECK(ended.out.size() == data.size());
  CHECK((ended.out == data));
}

TEST_CASE("standard output and standard error stay apart") {
  const Ended ended = sbx_run_shell({}, "echo out; echo err >&2");

  CHECK(ended.out == "out\n");
  CHECK(ended.err == "err\n");
}

TEST_CASE("closed standard descriptors are /dev/null inside, and nothing else") {
  Start start = start_shell(
      {}, "in=$(readlink /proc/$$/fd/0) out=$(readlink /proc/$$/fd/1); echo $in $out >&2");
  start.before_exec = [] {
    ::close(0);
    ::close(1);
  };

  CHECK(sbx::test::run(start).err == "/dev/null /dev/null\n");
}

TEST_CASE("with all three closed the command runs and its status comes back") {
  Start start = start_shell({}, "echo a; echo b >&2; read line; exit 8");
  start.before_exec = [] { ::close_range(0, 2, 0); };

  CHECK(sbx::test::run(start).status == 8);
}

TEST_CASE("a descriptor that sbx-run inherits does not reach the command") {
  Start start = start_shell({}, "ls /proc/self/fd | tr '\\n' ' '");
  start.before_exec = [] {
    for (const int fd : {3, 7, 100}) ::dup2(0, fd);
  };

  CHECK(sbx::test::run(start).out == "0 1 2 3 ");  // 3: the listing itself
}

TEST_CASE("a command whose output nobody reads any more ends as it would without sbx-run") {
  const std::string script =
      "'" + sbx::test::tool("sbx-run").native() + "' yes | head -n 1; echo ${PIPESTATUS[0]}";

  const Ended ended = sbx::test::run({.argv = {"bash", "-c", script}});

  CHECK(ended.out == "y\n" + std::to_string(128 + SIGPIPE) + "\n");
}
