// SPDX-License-Identifier: Apache-2.0
//
// What --net opens.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <thread>

#include "support/command.hpp"
#include "support/pasta.hpp"
#include "support/place.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using namespace std::chrono_literals;
using sbx::test::Ended;
using sbx::test::new_pastas;
using sbx::test::pastas;
using sbx::test::Place;
using sbx::test::ProcessSet;
using sbx::test::Program;
using sbx::test::sbx_run;
using sbx::test::sbx_run_shell;
using sbx::test::sbx_run_start;
using sbx::test::Start;
using sbx::test::wait_until;

namespace {

// Bash's own way to connect, so that no client needs to be installed.
std::string try_to_connect(const std::string& address, int port) {
  return "timeout 2 bash -c 'exec 3<>/dev/tcp/" + address + "/" + std::to_string(port) +
         " && head -c 2 <&3' 2>/dev/null || echo unreachable";
}

/// Whether somebody listens at `port` on the host's loopback.
bool can_connect(int port) {
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(client);
  return connected;
}

constexpr const char* kInterfaces = "cut -d : -f 1 /proc/net/dev | sed 1,2d | tr -d ' ' | sort";

/// A service on the host's loopback, that says "hi" to the first client.
class LoopbackService {
 public:
  explicit LoopbackService(int family) {
    listener_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    address.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
    }
    good_ = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            ::listen(listener_, 5) == 0 &&
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    port_ = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                                    : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  }
  LoopbackService(const LoopbackService&) = delete;
  LoopbackService& operator=(const LoopbackService&) = delete;
  LoopbackService(LoopbackService&&) = delete;
  LoopbackService& operator=(LoopbackService&&) = delete;
  ~LoopbackService() { ::close(listener_); }

  [[nodiscard]] bool is_good() const { return good_; }
  [[nodiscard]] int port() const { return port_; }

  /// Whether somebody has connected.
  [[nodiscard]] bool was_reached() const {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) ::close(client);
    return client >= 0;
  }

 private:
  int listener_ = -1;
  int port_ = 0;
  bool good_ = false;
};

}  // namespace

TEST_CASE("without a flag there is a loopback, up, and nothing else") {
  CHECK(sbx_run_shell({}, kInterfaces).out == "lo\n");
  CHECK(sbx_run_shell({"--net", "none"}, kInterfaces).out == "lo\n");
  CHECK(sbx_run_shell({}, "cat /proc/net/route | wc -l").out == "1\n");
  CHECK(sbx_run_shell({}, "bash -c 'exec 3<>/dev/udp/127.0.0.1/9' && echo up").out == "up\n");
}

TEST_CASE("the host's loopback services are not those of a sandbox") {
  const LoopbackService service(AF_INET);
  REQUIRE(service.is_good());

  CHECK(sbx_run_shell({}, try_to_connect("127.0.0.1", service.port())).out == "unreachable\n");
  CHECK_FALSE(service.was_reached());
}

TEST_CASE("with the host's network the host's interfaces and services are there") {
  const LoopbackService service(AF_INET);
  REQUIRE(service.is_good());

  CHECK(sbx_run_shell({"--net", "host"}, kInterfaces).out ==
        sbx::test::run({.argv = {"sh", "-c", kInterfaces}}).out);
  sbx_run_shell({"--net", "host"}, "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/" +
                                       std::to_string(service.port()) + "'");
  CHECK(service.was_reached());
}

TEST_CASE("the user network has an interface besides the loopback, with a way out") {
  SBX_REQUIRE_PASTA();
  const Ended ended =
      sbx_run_shell({"--net", "user"}, std::string(kInterfaces) +
                                           "; grep -c '\t00000000\t' /proc/net/route; "
                                           "grep -c nameserver /etc/resolv.conf");

  CHECK(ended.status == 0);
  CHECK(ended.err == "");
  CHECK(std::count(ended.out.begin(), ended.out.end(), '\n') >= 4);
  CHECK(ended.out.find("lo\n") != std::string::npos);
}

TEST_CASE("the user network is up before the command's first step") {
  SBX_REQUIRE_PASTA();
  CHECK(sbx_run({"--net", "user", "--", "sh", "-c", "grep -c 00000000 /proc/net/route"}).out !=
        "0\n");
}

TEST_CASE(
    "over the user network the host's loopback is out of reach, and its gateway no way to it") {
  SBX_REQUIRE_PASTA();
  const LoopbackService four(AF_INET);
  const LoopbackService six(AF_INET6);
  REQUIRE(four.is_good());
  const std::string gateway = sbx_run_shell({"--net", "user"},
                                            "while read a b c rest; do test \"$b\" = 00000000 && "
                                            "printf '%d.%d.%d.%d' 0x${c#??????} "
                                            "0x$(echo $c | cut -c 5-6) 0x$(echo $c | cut -c 3-4) "
                                            "0x$(echo $c | cut -c 1-2) && break; "
                                            "done < /proc/net/route")
                                  .out;
  REQUIRE_FALSE(gateway.empty());

  sbx_run_shell({"--net", "user"}, try_to_connect("127.0.0.1", four.port()) + "; " +
                                       try_to_connect(gateway, four.port()) + "; " +
                                       try_to_connect("::1", six.port()));

  CHECK_FALSE(four.was_reached());
  CHECK_FALSE(six.was_reached());
}

TEST_CASE("a port of a sandbox on the user network is not one of the host's") {
  SBX_REQUIRE_PASTA();
  Program program(sbx_run_start(
      {"--net", "user", "--", "perl", "-MIO::Socket::INET", "-e",
       "$| = 1; $s = IO::Socket::INET->new(Listen => 1); print $s->sockport, \" up\\n\"; <>"}));
  REQUIRE(program.says(" up\n"));
  const int port = std::stoi(program.out());

  CHECK_FALSE(can_connect(port));
}

TEST_CASE("the user network does not mind signals that the caller ignores or holds back") {
  SBX_REQUIRE_PASTA();
  Start start = sbx_run_start({"--net", "user", "true"});
  start.before_exec = [] {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    for (const int signal : {SIGPIPE, SIGCHLD, SIGTERM, SIGQUIT}) ::signal(signal, SIG_IGN);
  };

  CHECK(sbx::test::run(start).status == 0);
}

TEST_CASE("the status and signals of a command on the user network are its own") {
  SBX_REQUIRE_PASTA();
  CHECK(sbx_run_shell({"--net", "user"}, "exit 9").status == 9);
  CHECK(sbx_run({"--net", "user", "no-such-program"}).status == 127);
  Program program(sbx_run_start({"--net", "user", "--", "sh", "-c",
                                 "trap 'exit 40' TERM; echo up; while :; do sleep 0.01; done"}));
  REQUIRE(program.says("up\n"));
  program.signal(SIGTERM);
  CHECK(program.wait().status == 40);
}

TEST_CASE("nothing of pasta is left after the end of the command") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();

  Program program(sbx_run_start({"--net", "user", "--", "sh", "-c", "echo up; read line"}));
  REQUIRE(program.says("up\n"));
  const ProcessSet pasta(new_pastas(before));
  program.type("end\n");
  program.wait();

  CHECK(pasta.size() == 1);
  CHECK(pasta.ends());
}

TEST_CASE("nothing of pasta is left after SIGKILL of sbx-run") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  Program program(sbx_run_start({"--net", "user", "--", "sh", "-c", "echo up; sleep 60"}));
  REQUIRE(program.says("up\n"));
  const ProcessSet pasta(new_pastas(before));
  const auto below = ProcessSet::below(program.pid());

  program.signal(SIGKILL);
  program.wait();

  CHECK(pasta.size() == 1);
  CHECK(pasta.ends());
  CHECK(below.ends());
}

TEST_CASE("nothing of pasta is left after SIGKILL of sbx-run at any moment of its start") {
  SBX_REQUIRE_PASTA();
  const auto before = pastas();
  for (int i = 0; i < 30; ++i) {
    Program program(sbx_run_start({"--net", "user", "sleep", "60"}));
    std::this_thread::sleep_for(i * 3ms);
    program.signal(SIGKILL);
    program.wait();
  }

  CHECK(wait_until([&] { return new_pastas(before).empty(); }));
}

TEST_CASE("a sandbox on the user network may have a name and go into the background") {
  SBX_REQUIRE_PASTA();
  const Place place;
  const auto before = pastas();

  REQUIRE(place.run({"--net", "user", "--name", "a", "--detach", "sleep", "60"}).status == 0);
  const ProcessSet pasta(new_pastas(before));
  CHECK(place.enter("a", kInterfaces).out.find("lo\n") != std::string::npos);
  place.enter("a", "kill 2");

  CHECK(pasta.ends());
  CHECK(wait_until([&] { return place.is_empty(); }));
}

TEST_CASE("without pasta the user network says what to install") {
  Start start = sbx_run_start({"--net", "user", "/bin/true"});
  start.environment = {"PATH=/no/such/place"};

  const Ended ended = sbx::test::run(start);

  CHECK(ended.status == 125);
  CHECK(ended.err ==
        "sbx-run: cannot execute 'pasta': No such file or directory; install the package passt\n");
}
