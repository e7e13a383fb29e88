// SPDX-License-Identifier: Apache-2.0
//
// The network that the library connects by pasta(1), for root and for ordinary users.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "support/child.hpp"
#include "support/pasta.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

using sbx::Network;
using sbx::Sandbox;
using sbx::test::in_child;
using sbx::test::new_pastas;
using sbx::test::output_of;
using sbx::test::pastas;
using sbx::test::ProcessSet;
using sbx::test::shell;
using sbx::test::wait_until;
using enum sbx::Network::Mode;

namespace {

constexpr const char* kDefaultRoutes = "grep -c '\t00000000\t' /proc/net/route";

sbx::Spec connected(std::string script) {
  sbx::Spec spec = shell(std::move(script));
  spec.network.mode = kUser;
  return spec;
}

/// What is wrong with `network`; nothing when it is taken.
std::string refusal(const Network& network) {
  sbx::Spec spec = shell("true");
  spec.network = network;
  try {
    [[maybe_unused]] const std::string text = sbx::describe(spec);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing";
}

/// A directory with nothing but a pasta that is `script`.
class FakePasta {
 public:
  explicit FakePasta(const std::string& script) {
    const auto file = directory_.path() / "pasta";
    std::ofstream(file) << "#!/bin/sh\n" << script;
    ::chmod(file.c_str(), 0755);
  }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

 private:
  sbx::test::TempDir directory_;
};

bool has_children() { return ::waitpid(-1, nullptr, __WALL | WNOHANG) >= 0 || errno != ECHILD; }

/// What a start that cannot be connected throws, and what it leaves.
std::string failure_of_start() {
  std::string said = "nothing";
  try {
    Sandbox::start(connected("true"));
  } catch (const sbx::SystemError& error) {
    said = error.what();
  }
  return said + (has_children() ? ", and children" : "");
}

/// A process that has started a sandbox, and the sandbox's process 1.
struct Started {
  pid_t starter = -1;
  pid_t init = -1;
};

/// Starts one in a process of its own, that does `after` with it and stays.
template <typename F>
Started start_elsewhere(F after) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Started started{.starter = ::fork()};
  REQUIRE(started.starter >= 0);
  if (started.starter == 0) {
    Sandbox sandbox = Sandbox::start(connected("exec sleep 60"));
    after(sandbox);
    const pid_t init = sandbox.pid();
    [[maybe_unused]] const ssize_t written = ::write(ends[1], &init, sizeof init);
    ::close(ends[1]);
    ::pause();
  }
  ::close(ends[1]);
  CHECK(::read(ends[0], &started.init, sizeof started.init) == sizeof started.init);
  ::close(ends[0]);
  return started;
}

void kill_and_reap(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace

TEST_CASE("over the user network there is a way out when the program starts") {
  SBX_REQUIRE_PASTA();
  const std::string routes = output_of(kDefaultRoutes, connected(""));

  CHECK(routes != "");
  CHECK(routes != "0\n");
}

TEST_CASE("the user network is up when a sandbox without a command has started") {
  SBX_REQUIRE_PASTA();
  sbx::Spec spec = connected("");
  spec.command.argv.clear();
  Sandbox sandbox = Sandbox::start(spec);

  sandbox.exec_main(
      {.argv = {"/bin/sh", "-c", std::string("test $(") + kDefaultRoutes + ") -gt 0"}});

  CHECK(sandbox.wait().status == 0);
}

TEST_CASE("the user network is the sandbox's, not the thread's that has started it") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  std::optional<Sandbox> sandbox;
  std::thread([&] { sandbox = Sandbox::start(connected("exec sleep 60")); }).join();

  CHECK(new_pastas(before).size() == 1);
  sandbox.reset();
  CHECK(new_pastas(before).empty());
}

TEST_CASE("after the end of a sandbox on the user network nothing of it is left") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  const std::string said = in_child([&before] {
    std::string text;
    const auto look = [&] {
      text += std::to_string(new_pastas(before).size()) + (has_children() ? " children\n" : "\n");
    };
    Sandbox::start(connected("true")).wait();
    look();
    { const Sandbox dropped = Sandbox::start(connected("exec sleep 60")); }
    look();
    try {
      sbx::Spec absent = connected("");
      absent.command.argv = {"no-such-program"};
      Sandbox::start(absent);
    } catch (const sbx::ExecError&) {
    }
    look();
    return text;
  });

  CHECK(said == "0\n0\n0\n");
}

TEST_CASE("pasta goes with the process that has started the sandbox, after SIGKILL too") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  const pid_t starter = start_elsewhere([](Sandbox& /*sandbox*/) {}).starter;
  const ProcessSet pasta(new_pastas(before));
  const auto below = ProcessSet::below(starter);

  kill_and_reap(starter);

  CHECK(pasta.size() == 1);
  CHECK(pasta.ends());
  CHECK(below.size() >= 4);  // the init, its program, the keeper and pasta
  CHECK(below.ends());
}

TEST_CASE("SIGKILL at any moment of a start on the user network leaves no pasta") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  for (int i = 0; i < 20; ++i) {
    const pid_t starter = ::fork();
    REQUIRE(starter >= 0);
    if (starter == 0) {
      const Sandbox sandbox = Sandbox::start(connected("exec sleep 60"));
      ::pause();
    }
    std::this_thread::sleep_for(i * std::chrono::milliseconds(4));
    kill_and_reap(starter);
  }

  CHECK(wait_until([&] { return new_pastas(before).empty(); }));
  CHECK(wait_until([] { return sbx::test::processes_with("sbx-keeper") == 0; }));
}

TEST_CASE("a pasta that does not come to an end goes with its starter") {
  const FakePasta pasta("exec /bin/sleep 1d\n");
  const pid_t starter = ::fork();
  REQUIRE(starter >= 0);
  if (starter == 0) {
    ::setenv("PATH", pasta.directory().c_str(), 1);
    const Sandbox sandbox = Sandbox::start(connected("true"));
    ::_exit(1);
  }
  CHECK(wait_until([&] { return sbx::test::pids_below(starter).size() >= 3; }));
  const auto below = ProcessSet::below(starter);

  kill_and_reap(starter);

  CHECK(below.ends());
}

TEST_CASE("the user network of a sandbox that was let go outlives its starter") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  const auto [starter, init] = start_elsewhere([](Sandbox& sandbox) { sandbox.release(); });
  const ProcessSet pasta(new_pastas(before));
  kill_and_reap(starter);

  CHECK(pasta.size() == 1);
  CHECK_FALSE(pasta.ends(std::chrono::milliseconds(200)));
  ::kill(init, SIGKILL);
  CHECK(pasta.ends());
}

TEST_CASE("a caller who ignores the ends of children has the user network, too") {
  SBX_REQUIRE_PASTA();
  const std::string said = in_child([] {
    ::signal(SIGCHLD, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    return output_of("echo up", connected(""));
  });

  CHECK(said == "up\n");
}

TEST_CASE("a caller who is not dumpable has the user network, too") {
  SBX_REQUIRE_ROOT();  // the maps of such a process cannot be written by another
  SBX_REQUIRE_PASTA();
  const std::string said = in_child([] {
    ::prctl(PR_SET_DUMPABLE, 0);
    return output_of("echo up", connected("")) + std::to_string(::prctl(PR_GET_DUMPABLE));
  });

  CHECK(said == "up\n0");
}

TEST_CASE("the user network ends where its caller has no /proc any more") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  const std::string said = in_child([] {
    REQUIRE(::unshare(CLONE_NEWNS) == 0);
    REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    {
      const Sandbox sandbox = Sandbox::start(connected("exec sleep 60"));
      REQUIRE(::mount("none", "/proc", "tmpfs", 0, nullptr) == 0);
      ::alarm(20);
    }
    return std::string("ended");
  });

  CHECK(said == "ended");
  CHECK(new_pastas(before).empty());
}

TEST_CASE("what a network by pasta does not have is refused") {
  const auto needs = [](const char* member) {
    return std::string("Network::") + member + " needs the mode kRouted or kBridge";
  };

  CHECK(refusal({.mode = kUser}) == "nothing");
  CHECK(refusal({.mode = kUser, .name = "a"}) == needs("name"));
  CHECK(refusal({.mode = kUser, .internet = false}) == needs("internet"));
  CHECK(refusal({.mode = kUser, .allow = {sbx::Destination::parse("10.0.0.0/8")}}) ==
        needs("allow"));
  CHECK(refusal({.mode = kUser, .deny = {sbx::Destination::parse("10.0.0.0/8")}}) == needs("deny"));
  CHECK(refusal({.mode = kUser, .publish = {sbx::PublishedPort::parse("80:80")}}) ==
        needs("publish"));
  CHECK(refusal({.mode = kUser, .rate_bits_per_second = 1}) == needs("rate_bits_per_second"));
  CHECK(refusal({.mode = kUser, .connections_max = 1}) == needs("connections_max"));
}

TEST_CASE("without an init there is no network by pasta") {
  sbx::Spec spec = connected("true");
  spec.init = sbx::Init::kNone;

  CHECK_THROWS_WITH_AS(Sandbox::start(spec),
                       "without an init no program waits for the network by pasta",
                       std::invalid_argument);
}

TEST_CASE("without pasta the user network says what to install") {
  const std::string said = in_child([] {
    ::setenv("PATH", "/no/such/place", 1);
    return failure_of_start();
  });

  CHECK(said == "cannot execute 'pasta': No such file or directory; install the package passt");
}

TEST_CASE("a pasta in the working directory is not taken") {
  const FakePasta pasta("echo taken >&2\nexit 1\n");

  const std::string said = in_child([&pasta] {
    std::filesystem::current_path(pasta.directory());
    ::setenv("PATH", ":.:/no/such/place", 1);
    return failure_of_start();
  });

  CHECK(said == "cannot execute 'pasta': No such file or directory; install the package passt");
}

TEST_CASE("what pasta says last is told when it fails") {
  const FakePasta pasta("echo first >&2\necho the last >&2\nexit 1\n");

  const std::string said = in_child([&pasta] {
    ::setenv("PATH", pasta.directory().c_str(), 1);
    return failure_of_start();
  });

  CHECK(said == "cannot connect the sandbox by pasta: Input/output error; the last");
}
