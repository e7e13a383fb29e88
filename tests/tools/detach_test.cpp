// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes in the background.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "support/command.hpp"
#include "support/place.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace fs = std::filesystem;
using sbx::test::Ended;
using sbx::test::mark;
using sbx::test::pids_with;
using sbx::test::Place;
using sbx::test::processes_with;
using sbx::test::ProcessSet;
using sbx::test::Program;
using sbx::test::Start;
using sbx::test::TempDir;
using sbx::test::wait_until;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a sandbox in the background outlives the command that made it") {
  const Place place;
  const std::string word = mark("background");

  const Ended made =
      place.run({"--name", "a", "--detach", "--", "sh", "-c", "sleep 60; : " + word});

  CHECK(made.status == 0);
  CHECK(made.out.empty());
  CHECK(place.enter("a", "echo inside").out == "inside\n");
  place.enter("a", "kill -TERM 2");  // which ends with what it ends
  CHECK(wait_until([&] { return place.is_empty(); }));
  CHECK(wait_until([&] { return processes_with(word) == 0; }));
}

TEST_CASE("SIGKILL of the keeper of a background sandbox leaves nothing") {
  const Place place;
  const std::string word = mark("keeper");
  REQUIRE(place.run({"--name", "a", "--detach", "--", "sh", "-c", "sleep 60; : " + word}).status ==
          0);
  const auto all = pids_with(word);  // the keeper's command line holds the word, too
  const auto keeper = std::find_if(all.begin(), all.end(), [&](pid_t pid) {
    return fs::read_symlink("/proc/" + std::to_string(pid) + "/exe").filename() == "sbx-run";
  });
  REQUIRE(keeper != all.end());
  const auto below = ProcessSet::below(*keeper);

  ::kill(*keeper, SIGKILL);

  CHECK(below.size() >= 2);
  CHECK(below.ends());
  CHECK(wait_until([&] { return place.is_empty() && processes_with(word) == 0; }));
}

TEST_CASE("a command that cannot go into the background says why") {
  const Place place;

  const Ended absent = place.run({"--detach", "--name", "a", "no-such-program"});
  const Ended unmade = place.run({"--detach", "--rootfs", "/no/such/root", "true"});

  CHECK(absent.status == 127);
  CHECK(absent.err == "sbx-run: cannot execute 'no-such-program': No such file or directory\n");
  CHECK(unmade.status == 125);
  CHECK(unmade.err == "sbx-run: cannot use the root '/no/such/root': No such file or directory\n");
  CHECK(place.is_empty());
}

TEST_CASE("in the background the time limit and the report hold") {
  const Place place;
  const TempDir dir;
  const fs::path report = dir.path() / "report";

  CHECK(place.run({"--detach", "--report", report, "--timeout", "200ms", "sleep", "60"}).status ==
        0);

  REQUIRE(wait_until([&] { return text_of(report).ends_with("\n"); }));
  CHECK(nlohmann::json::parse(text_of(report)).at("exit").at("reason") == "timeout");
}

TEST_CASE("in the background output goes on into a file, and nowhere else") {
  const Place place;
  const TempDir dir;
  const std::string file = dir.path() / "out";
  Start start = place.start({"--detach", "--", "sh", "-c", "echo said; readlink /proc/self/fd/2"});
  start.before_exec = [&file] {
    ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 1);
  };

  CHECK(sbx::test::run(start).status == 0);

  CHECK(wait_until([&] { return text_of(file) == "said\n/dev/null\n"; }));
}

TEST_CASE("a command that enters can stay in the background") {
  const Place place;
  Program main(place.start({"--name", "a", "--", "sh", "-c", "echo up; read line"}));
  REQUIRE(main.says("up\n"));

  CHECK(place.run({"--enter", "a", "--detach", "--", "sh", "-c", "echo $$ > /tmp/pid; sleep 60"})
            .status == 0);

  CHECK(wait_until([&] {
    return place.enter("a", "test -d /proc/$(cat /tmp/pid) && echo there").out == "there\n";
  }));
}
