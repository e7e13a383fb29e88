// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes with a name: entered by others, left in the background, and swept away.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "support/command.hpp"
#include "support/place.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::test::mark;
using sbx::test::Place;
namespace fs = std::filesystem;
using sbx::test::Ended;
using sbx::test::processes_with;
using sbx::test::ProcessSet;
using sbx::test::Program;
using sbx::test::sbx_run;
using sbx::test::sbx_run_start;
using sbx::test::Start;
using sbx::test::TempDir;
using sbx::test::wait_until;

namespace {

/// A shell in the sandbox `name` that says "up" and waits for what it reads.
Start start_waiting(const Place& place, const std::string& name) {
  return place.start({"--name", name, "--", "sh", "-c", "echo up; read line"});
}

int listen_at(const fs::path& path) {
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(listener, 5);
  return listener;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a command that enters is in the same sandbox") {
  const Place place;
  Program main(place.start({"--name", "a", "--hostname", "shared", "--", "sh", "-c",
                            "echo $$ > /tmp/file; echo up; read line"}));
  REQUIRE(main.says("up\n"));

  const Ended entered =
      place.enter("a", "uname -n; cat /tmp/file; test -d /proc/$(cat /tmp/file) && echo there");

  CHECK(entered.out == "shared\n2\nthere\n");
  CHECK(entered.status == 0);
}

TEST_CASE("what enters has its own input, output, directory, environment and status") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));

  const Ended entered =
      sbx_run(place.words({"--enter", "a", "--workdir", "/usr/lib", "--env", "A=b", "--", "sh",
                           "-c", "read line; echo $line $A; pwd; echo err >&2; exit 9"}),
              "typed\n");

  CHECK(entered.status == 9);
  CHECK(entered.out == "typed b\n/usr/lib\n");
  CHECK(entered.err == "err\n");
}

TEST_CASE("the statuses of what enters are those of any command") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));

  CHECK(place.enter("a", "kill -TERM $$").status == 128 + SIGTERM);
  CHECK(place.run({"--enter", "a", "no-such-program"}).status == 127);
  CHECK(place.run({"--enter", "a", "/etc/passwd"}).status == 126);
  CHECK(place.run({"--enter", "a", "--timeout", "100ms", "sleep", "60"}).status == 124);
  CHECK(place.enter("a", "exit 0").status == 0);
}

TEST_CASE("a timeout ends what entered with its children, and leaves the sandbox alone") {
  const Place place;
  const std::string word = mark("entered");
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));

  const std::string script = "sh -c 'sleep 60; : " + word + "' & wait; : " + word;
  CHECK(place.run({"--enter", "a", "--timeout", "200ms", "--", "sh", "-c", script}).status == 124);

  CHECK(wait_until([&] { return processes_with(word) == 0; }));
  CHECK(place.enter("a", "echo well").out == "well\n");
}

TEST_CASE("SIGKILL of the sbx-run that entered ends what it started") {
  const Place place;
  const std::string word = mark("entrant");
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));
  Program entered(place.start({"--enter", "a", "--", "sh", "-c", "echo up; sleep 60; : " + word}));
  REQUIRE(entered.says("up\n"));

  entered.signal(SIGKILL);
  entered.wait();

  CHECK(wait_until([&] { return processes_with(word) == 0; }));
  CHECK(place.enter("a", "echo well").out == "well\n");
}

TEST_CASE("signals reach what entered") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));
  Program entered(place.start({"--enter", "a", "--", "sh", "-c",
                               "trap 'exit 40' USR1; echo up; while :; do sleep 0.01; done"}));
  REQUIRE(entered.says("up\n"));

  entered.signal(SIGUSR1);

  CHECK(entered.wait().status == 40);
}

TEST_CASE("what entered ends with the sandbox, and says so") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));
  Program entered(place.start({"--enter", "a", "--", "sh", "-c", "echo up; sleep 60"}));
  REQUIRE(entered.says("up\n"));

  main.close_input();

  CHECK(main.wait().status == 1);  // of read, at the end of its input
  CHECK(entered.wait().status == 128 + SIGKILL);
}

TEST_CASE("root's entrant may be another user, and never has more rights than the sandbox") {
  SBX_REQUIRE_ROOT();
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));

  const Ended entered = place.run(
      {"--enter", "a", "--user", "0", "--", "sh", "-c", "id -u; grep CapEff /proc/self/status"});

  CHECK(entered.out == "0\nCapEff:\t0000000000000000\n");
}

TEST_CASE("a name that is in use is refused, and free when its sandbox has ended") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));

  const Ended second = place.run({"--name", "a", "true"});
  CHECK(second.status == 125);
  CHECK(second.err == "sbx-run: cannot name the sandbox 'a': File exists; one of that name runs\n");

  main.type("end\n");
  CHECK(main.wait().status == 0);
  CHECK(place.run({"--name", "a", "true"}).status == 0);
}

TEST_CASE("one name is taken by one of many who want it at once") {
  const Place place;
  const std::string script = "for i in 1 2 3 4 5 6 7 8 9 10; do '" +
                             sbx::test::tool("sbx-run").native() + "' --run-dir '" +
                             place.path().native() +
                             "' --name a --detach -- sleep 60 "
                             "2>/dev/null && echo took & done; wait";

  CHECK(sbx::test::run({.argv = {"sh", "-c", script}}).out == "took\n");
  place.enter("a", "kill 2");
  CHECK(wait_until([&] { return place.is_empty(); }));
}

TEST_CASE("the same name in two run directories is two sandboxes") {
  const Place one;
  const Place two;
  Program first(
      one.start({"--name", "a", "--hostname", "one", "--", "sh", "-c", "echo up; read x"}));
  Program second(
      two.start({"--name", "a", "--hostname", "two", "--", "sh", "-c", "echo up; read x"}));
  REQUIRE(first.says("up\n"));
  REQUIRE(second.says("up\n"));

  CHECK(one.enter("a", "uname -n").out == "one\n");
  CHECK(two.enter("a", "uname -n").out == "two\n");
}

TEST_CASE("the run directory may come from the environment") {
  const Place place;
  Start start = sbx_run_start({"--name", "a", "--", "sh", "-c", "echo up; read x"});
  start.environment.push_back("SBX_RUN_DIR=" + place.path().native());
  Program main(start);
  REQUIRE(main.says("up\n"));

  CHECK(fs::exists(place.socket("a")));
}

TEST_CASE("an ordinary user without a place for names is told how to give one") {
  SBX_REQUIRE_ORDINARY_USER();
  Start start = sbx_run_start({"--name", "a", "true"});
  start.environment = {"PATH=/usr/bin:/bin"};

  CHECK(sbx::test::run(start).err ==
        "sbx-run: there is no directory for a named sandbox: set XDG_RUNTIME_DIR, SBX_RUN_DIR or "
        "--run-dir\n");
}

TEST_CASE("nothing of a name is left after the end of its sandbox") {
  const Place place;

  CHECK(place.run({"--name", "a", "true"}).status == 0);
  CHECK(place.is_empty());
  CHECK(place.run({"--name", "a", "no-such-program"}).status == 127);
  CHECK(place.is_empty());
  CHECK(place.run({"--name", "a", "--rootfs", "/no/such/root", "true"}).status == 125);
  CHECK(place.is_empty());
}

TEST_CASE("nothing of a name is left after SIGKILL of sbx-run") {
  const Place place;
  Program main(start_waiting(place, "a"));
  REQUIRE(main.says("up\n"));
  const auto below = ProcessSet::below(main.pid());

  main.signal(SIGKILL);
  main.wait();

  CHECK(below.ends());
  CHECK(wait_until([&] { return place.is_empty(); }));
}

TEST_CASE("nothing is left after SIGKILL of sbx-run at any moment of its start") {
  const Place place;
  const std::string word = mark("early");
  for (int i = 0; i < 40; ++i) {
    Program main(place.start({"--name", "a", "--", "sh", "-c", "sleep 60; : " + word}));
    std::this_thread::sleep_for(i * 500us);
    main.signal(SIGKILL);
    main.wait();

    REQUIRE(wait_until([&] { return place.is_empty() && processes_with(word) == 0; }));
  }
}

TEST_CASE("a folder that a dead sandbox left is taken over") {
  const Place place;
  fs::create_directories(place.folder("a"));
  ::chmod(place.path().c_str(), 0700);
  ::close(listen_at(place.socket("a")));

  CHECK(place.run({"--enter", "a", "true"}).err == "sbx-run: cannot enter the sandbox at '" +
                                                       place.socket("a").native() +
                                                       "': Connection refused\n");
  CHECK(place.run({"--name", "a", "true"}).status == 0);
  CHECK(place.is_empty());
}

TEST_CASE("a folder with somebody's files in it is no sandbox's, and left alone") {
  const Place place;
  fs::create_directories(place.folder("a"));
  ::chmod(place.path().c_str(), 0700);
  std::ofstream(place.folder("a") / "notes") << "mine";

  CHECK(place.run({"--name", "a", "true"}).status == 125);
  CHECK(text_of(place.folder("a") / "notes") == "mine");
}

TEST_CASE("a run directory that others may write to is refused") {
  const Place place;
  fs::create_directories(place.path());
  ::chmod(place.path().c_str(), 0777);

  CHECK(place.run({"--name", "a", "true"}).err ==
        "sbx-run: cannot use the run directory '" + place.path().native() +
            "': Operation not permitted; it must be the caller's, and nobody else may write to "
            "it\n");
}

TEST_CASE("a sandbox that is not there cannot be entered") {
  const Place place;

  CHECK(place.run({"--enter", "absent", "true"}).status == 125);
  CHECK(place.run({"--enter", "absent", "true"}).err == "sbx-run: cannot enter the sandbox at '" +
                                                            place.socket("absent").native() +
                                                            "': No such file or directory\n");
}

TEST_CASE("a plain file in the socket's place is not entered") {
  const Place place;
  fs::create_directories(place.folder("a"));
  std::ofstream(place.socket("a")) << "";

  CHECK(place.run({"--enter", "a", "true"}).err ==
        "sbx-run: cannot enter the sandbox at '" + place.socket("a").native() +
            "': Operation not permitted; it is no socket of the caller's\n");
}

TEST_CASE("a folder of somebody else's is not entered") {
  SBX_REQUIRE_ROOT();
  const Place place;
  fs::create_directories(place.folder("a"));
  const int listener = listen_at(place.socket("a"));
  REQUIRE(::chown(place.folder("a").c_str(), 12345, 12345) == 0);

  CHECK(place.run({"--enter", "a", "true"}).err ==
        "sbx-run: cannot enter the sandbox at '" + place.socket("a").native() +
            "': Operation not permitted; others could have put it there\n");
  ::close(listener);
}

TEST_CASE("a socket of somebody else's is not entered") {
  SBX_REQUIRE_ROOT();
  const Place place;
  fs::create_directories(place.folder("a"));
  ::chmod(place.folder("a").c_str(), 0700);
  const int listener = listen_at(place.socket("a"));
  REQUIRE(::chown(place.socket("a").c_str(), 12345, 12345) == 0);

  CHECK(place.run({"--enter", "a", "true"}).err ==
        "sbx-run: cannot enter the sandbox at '" + place.socket("a").native() +
            "': Operation not permitted; it is no socket of the caller's\n");
  ::close(listener);
}

TEST_CASE("a listener that never answers is given up") {
  const Place place;
  fs::create_directories(place.folder("a"));
  ::chmod(place.folder("a").c_str(), 0700);
  const int listener = listen_at(place.socket("a"));

  const Ended ended = sbx::test::run(place.start({"--enter", "a", "true"}), {}, 20s);

  CHECK(ended.status == 125);
  CHECK(ended.err == "sbx-run: cannot enter the sandbox at '" + place.socket("a").native() +
                         "': Operation not permitted; its init does not answer\n");
  ::close(listener);
}
