// SPDX-License-Identifier: Apache-2.0
//
// More programs in a sandbox that runs already.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/process.hpp"
#include "support/require.hpp"
#include "support/sandbox.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::Command;
using sbx::Sandbox;
using sbx::test::TempDir;

namespace {

/// An empty sandbox: nothing but its init.
Sandbox start_empty() { return Sandbox::start({}); }

std::string output_in(Sandbox& sandbox, Command command) {
  int ends[2];
  if (::pipe(ends) < 0) return "no pipe";
  command.fds.push_back({ends[1], 1});
  std::erase_if(command.fds,
                [&](const sbx::PassedFd& fd) { return fd.inner == 1 && fd.outer != ends[1]; });
  sbx::Process process = sandbox.exec(command);
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  process.wait();
  return text;
}

Command shell_command(const std::string& script) { return {.argv = {"/bin/sh", "-c", script}}; }

}  // namespace

TEST_CASE("programs that enter one sandbox share its files and its processes") {
  Sandbox sandbox = start_empty();

  sbx::Process first = sandbox.exec(shell_command("echo hello > /tmp/shared; sleep 60"));
  REQUIRE(sbx::test::wait_until(
      [&] { return output_in(sandbox, shell_command("cat /tmp/shared")) == "hello\n"; }));

  CHECK(output_in(sandbox, shell_command("cat /proc/" + std::to_string(first.inner_pid()) +
                                         "/comm")) == "sh\n");
}

TEST_CASE("the end of a program that entered is reported") {
  Sandbox sandbox = start_empty();

  sbx::Process exited = sandbox.exec(shell_command("exit 12"));
  sbx::Process killed = sandbox.exec(shell_command("kill -TERM $$"));

  CHECK(exited.wait().status == 12);
  CHECK(killed.wait().signal == SIGTERM);
}

TEST_CASE("a program that enters has the environment, directory and descriptors of its command") {
  Sandbox sandbox = start_empty();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Command command = shell_command("echo $COLOUR; pwd; echo told >&7");
  command.environment = {"COLOUR=blue"};
  command.workdir = "/usr/lib";
  command.fds = {{ends[1], 7}};

  const std::string said = output_in(sandbox, command);

  ::close(ends[1]);
  char told[16]{};
  CHECK(::read(ends[0], told, sizeof told) == 5);
  ::close(ends[0]);
  CHECK(said == "blue\n/usr/lib\n");
  CHECK(std::string(told) == "told\n");
}

TEST_CASE("a program that enters may be another user of the sandbox") {
  SBX_REQUIRE_ROOT();
  Sandbox sandbox = start_empty();
  Command command{.argv = {"id", "-u"}};
  command.user = sbx::User{.uid = 33, .gid = 33};

  CHECK(output_in(sandbox, command) == "33\n");
}

TEST_CASE("a program does not enter as a user whom the sandbox does not know") {
  sbx::Spec spec;
  spec.user_namespace = {.mode = sbx::UserNamespace::Mode::kMap,
                         .uids = {{.inside = 1000, .outside = ::geteuid()}},
                         .gids = {{.inside = 1000, .outside = ::getegid()}}};
  Sandbox sandbox = Sandbox::start(spec);
  Command other = shell_command("true");
  other.user = sbx::User{.uid = 5, .gid = 5};

  CHECK_THROWS_WITH_AS(sandbox.exec(other),
                       "cannot change the user: Invalid argument; the id map does not cover it",
                       sbx::SystemError);
  CHECK(output_in(sandbox, shell_command("id -u")) == "1000\n");
}

TEST_CASE("whatever enters is under the sandbox's own filter and without capabilities") {
  Sandbox sandbox = start_empty();

  const std::string status = output_in(
      sandbox,
      shell_command(
          "grep -E '^(CapInh|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status"));

  CHECK(status ==
        "CapInh:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
        "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

TEST_CASE("a program that enters on a terminal has it as its controlling one") {
  Sandbox sandbox = start_empty();
  Command command = shell_command("tty; echo typed: $(head -1 < /dev/tty)");
  command.terminal = true;

  sbx::Process process = sandbox.exec(command);
  auto terminal = process.take_terminal();
  REQUIRE(terminal.has_value());
  terminal->resize({.rows = 40, .columns = 120});
  REQUIRE(::write(terminal->fd(), "key\n", 4) == 4);
  process.wait();
  char text[256]{};
  const ssize_t size = ::read(terminal->fd(), text, sizeof text - 1);

  CHECK(size > 0);
  CHECK(terminal->size() == sbx::TerminalSize{.rows = 40, .columns = 120});
  CHECK(std::string(text).find("/dev/pts/0") != std::string::npos);
}

TEST_CASE("a program that cannot be executed leaves the sandbox as it was") {
  Sandbox sandbox = start_empty();

  CHECK_THROWS_AS(sandbox.exec({.argv = {"no-such-program"}}), sbx::ExecError);
  CHECK_THROWS_WITH_AS(
      sandbox.exec({.argv = {"true"}, .workdir = "/absent"}),
      "cannot change to the working directory '/absent': No such file or directory",
      sbx::SystemError);

  CHECK(output_in(sandbox, shell_command("echo well")) == "well\n");
}

TEST_CASE("the program that the sandbox lives for can come later") {
  Sandbox sandbox = start_empty();

  sandbox.exec_main(shell_command("exit 21"));

  CHECK(sandbox.wait().status == 21);
  CHECK_THROWS_AS(sandbox.exec(shell_command("true")), sbx::SystemError);
}

TEST_CASE("a process that is let go ends with its handle, one that is released does not") {
  Sandbox sandbox = start_empty();
  int kept = 0;
  {
    sbx::Process owned = sandbox.exec(shell_command("sleep 61"));
    sbx::Process free = sandbox.exec(shell_command("sleep 62"));
    free.release();
    kept = free.inner_pid();
  }
  const auto sleepers = [&] {
    return output_in(sandbox, shell_command("grep -lsa sleep /proc/[0-9]*/cmdline | wc -l"));
  };

  // Two: the shell that waits for sleep, or sleep in its place, and this grep's own shell do not
  // hold the word; what is left is the released one.
  CHECK(sbx::test::wait_until([&] {
    return output_in(sandbox,
                     shell_command("cat /proc/*/cmdline | tr '\\0' ' ' | grep -c 'sleep 6[1]'")) ==
           "0\n";
  }));
  CHECK(output_in(sandbox, shell_command("test -d /proc/" + std::to_string(kept) +
                                         " && echo there")) == "there\n");
  CHECK_FALSE(sleepers().empty());
}

TEST_CASE("another process finds a sandbox by its socket and goes on with it") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0700);
  sbx::Spec spec;
  spec.control_socket = dir.path() / "init.sock";
  Sandbox maker = Sandbox::start(spec);

  Sandbox found = Sandbox::open(spec.control_socket);

  CHECK(found.pid() == maker.pid());
  CHECK(output_in(found, shell_command("echo found")) == "found\n");
}

TEST_CASE("a released sandbox outlives the handle and can be ended by who finds it") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0700);
  const std::filesystem::path socket = dir.path() / "init.sock";
  {
    Sandbox maker =
        Sandbox::start({.command = {.argv = {"sleep", "60"}}, .control_socket = socket});
    maker.release();
  }

  Sandbox found = Sandbox::open(socket);
  found.kill();
  pollfd end{.fd = found.fd(), .events = POLLIN, .revents = 0};

  CHECK(::poll(&end, 1, 10'000) == 1);
}

TEST_CASE("a socket in a directory that others may write to is not trusted") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const std::filesystem::path socket = dir.path() / "init.sock";
  const Sandbox maker = Sandbox::start({.control_socket = socket});

  CHECK_THROWS_WITH_AS(Sandbox::open(socket),
                       ("cannot enter the sandbox at '" + socket.native() +
                        "': Operation not permitted; others could have put it there")
                           .c_str(),
                       sbx::SystemError);
}

TEST_CASE("a process that only pretends to be an init is not entered") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0700);
  const std::filesystem::path path = dir.path() / "init.sock";
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 1) == 0);

  CHECK_THROWS_AS(Sandbox::open(path), sbx::SystemError);

  ::close(listener);
}

TEST_CASE("without an init there is nothing to enter") {
  sbx::Spec spec{.command = {.argv = {"sleep", "60"}}, .init = sbx::Init::kNone};
  Sandbox sandbox = Sandbox::start(spec);

  CHECK_THROWS_WITH_AS(sandbox.exec({.argv = {"true"}}),
                       "a sandbox without an init takes no requests", std::invalid_argument);
}
