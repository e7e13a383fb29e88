// SPDX-License-Identifier: Apache-2.0
//
// Addresses and what else is made of the host's network: given away, kept, taken back.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "network/hosts.hpp"
#include "sbx/error.hpp"
#include "support/child.hpp"
#include "support/require.hpp"
#include "support/throw_errno.hpp"

using sbx::IpFamily;
using sbx::IpPrefix;
using sbx::Network;
using sbx::Sandbox;
using sbx::SystemError;
using sbx::test::address_of;
using sbx::test::can_connect;
using sbx::test::flush_firewall;
using sbx::test::have_own_mounts;
using sbx::test::Hosts;
using sbx::test::in_child;
using sbx::test::kModes;
using sbx::test::Listener;
using sbx::test::namespace_of;
using sbx::test::reach;
using sbx::test::throw_errno;
using enum sbx::Network::Mode;

namespace {

/// A process that starts one sandbox for each of `networks`, and is killed.
void start_and_die(const Hosts& hosts, const std::vector<Network>& networks) {
  const pid_t owner = ::fork();
  if (owner == 0) {
    try {
      hosts.host.enter();
      std::vector<Sandbox> sandboxes;
      for (const Network& each : networks) {
        sandboxes.push_back(Sandbox::start(Hosts::spec(each, "sleep 1d")));
      }
      ::kill(::getpid(), SIGKILL);
    } catch (const std::exception&) {
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(owner, &status, 0);
  CHECK(WIFSIGNALED(status));
}

/// How many sandboxes are in the book.
auto entries(const Hosts& hosts) {
  const auto all = std::filesystem::recursive_directory_iterator(hosts.directory() / "run");
  return std::count_if(begin(all), end(all), [](const auto& entry) {
    return entry.path().parent_path().filename() == "tenants";
  });
}

/// Lets nobody look for killed owners until then.
void put_off_looks(const Hosts& hosts, std::int64_t until) {
  for (const auto& book : std::filesystem::directory_iterator(hosts.directory() / "run/.network")) {
    std::ofstream(book.path() / "owners.next")
        .write(reinterpret_cast<const char*>(&until), sizeof until);
  }
}

/// Runs `body` as the first process of a pid namespace that has its own /proc; whether it said so.
template <typename F>
bool in_other_pids(F body) {
  const std::string told = in_child([&] {
    have_own_mounts();
    if (::unshare(CLONE_NEWPID) < 0) throw_errno("cannot have a pid namespace");
    return in_child([&] {
      if (::mount("proc", "/proc", "proc", 0, nullptr) < 0) throw_errno("cannot mount /proc");
      return std::string(body() ? "yes" : "no");
    });
  });
  if (told != "yes") MESSAGE(told);
  return told == "yes";
}

}  // namespace

TEST_CASE("after the last sandbox the host's network is as it was") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    {
      const Sandbox one = hosts.start(hosts.network(mode), "sleep 1d");
      const Sandbox two = hosts.start(hosts.network(mode), "sleep 1d");
      CHECK(hosts.inventory() != before);
    }
    CHECK(hosts.comes_to(before));
  }
}

TEST_CASE("who ends his last sandbox after main() leaves nothing either") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  const pid_t owner = ::fork();
  if (owner == 0) {
    hosts.host.enter();
    static std::vector<Sandbox> kept;
    (void)Sandbox::start(Hosts::spec(hosts.network(), "true")).wait();
    kept.push_back(Sandbox::start(Hosts::spec(hosts.network(), "sleep 1d")));
    std::exit(0);
  }
  int status = 1;
  ::waitpid(owner, &status, 0);
  CHECK(status == 0);
  CHECK(hosts.comes_to(before));
}

TEST_CASE("a run directory is one, however it is written") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::filesystem::path top = hosts.directory();
  std::filesystem::create_directories(top / "a");
  std::filesystem::create_directories(top / "b/c");
  std::filesystem::create_directory_symlink(top / "b/c", top / "a/link");
  const auto network = [&](const std::string& run) {
    Network written = hosts.network();
    written.host.run_directory = top / run;
    return written;
  };
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const std::string before = hosts.inventory();
  {
    const Sandbox first = hosts.start(network("a/link/../run"), "sleep 1d");
    for (const std::string run : {"a/run", "a/run/", "a//./run", "a/link/../run/"}) {
      CAPTURE(run);
      CHECK(hosts.say(network(run), "exec 2>&1; " + reach(Hosts::kInternet4, 80)) == "reached\n");
    }
    CHECK(can_connect(namespace_of(first), Hosts::kInternet4, 80));
  }
  CHECK(hosts.comes_to(before));
}

TEST_CASE("no two sandboxes have one address") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  std::vector<Sandbox> all;
  std::set<std::string> addresses;

  for (int i = 0; i < 20; ++i) {
    all.push_back(hosts.start(hosts.network(kModes[i % 2]), "sleep 1d"));
    const auto inside = namespace_of(all.back());
    inside.run([&] {
      for (const auto& each : sbx::Rtnetlink().open("eth0").addresses()) {
        addresses.insert(each.to_string());
      }
    });
  }

  CHECK(addresses.size() == 40);
}

TEST_CASE("sandboxes that start and end at once do not get into each other's way") {
  SBX_REQUIRE_ROOT();
  constexpr int kThreads = 6;
  constexpr int kStarts = 5;
  const Hosts hosts;
  const std::string before = hosts.inventory();
  const auto start_some = [&hosts](int thread) {
    int good = 0;
    for (int i = 0; i < kStarts; ++i) {
      const auto mode = kModes[(thread + i) % 2];
      const std::string name = thread % 2 == 0 ? "" : "tenant-" + std::to_string(thread);
      if (hosts.say(hosts.network(mode, name), "echo up") == "up\n") ++good;
    }
    return good;
  };

  std::vector<std::future<int>> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.push_back(std::async(std::launch::async, start_some, thread));
  }
  int good = 0;
  for (std::future<int>& thread : threads) good += thread.get();

  CHECK(good == kThreads * kStarts);
  CHECK(hosts.comes_to(before));
}

TEST_CASE("who comes back under a name has the same address") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  const auto address = [&hosts](Network::Mode mode, const char* name) {
    return address_of(hosts.start(hosts.network(mode, name), "sleep 1d"), IpFamily::kIpv4);
  };

  const std::string first = address(kRouted, "alice");
  const std::string other = address(kRouted, "bob");

  CHECK(first.starts_with("10.213."));
  CHECK(first != other);
  CHECK(address(kBridge, "alice") == first);
}

TEST_CASE("a network's name is text, and nobody's when it is empty") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  (void)hosts.say(hosts.network(kRouted, "alice"), "true");

  for (const char* name : {"caf\xe9", "a\nb", "a/b", ".a"}) {
    CHECK_THROWS_AS(hosts.start(hosts.network(kRouted, name), "true"), std::invalid_argument);
  }
  hosts.host.run([&] {
    CHECK_FALSE(sbx::network_usage(hosts.network().host, ""));
    CHECK_NOTHROW(sbx::forget_network(hosts.network().host, ""));
  });
}

TEST_CASE("a name is one running sandbox's alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox alice = hosts.start(hosts.network(kRouted, "alice"), "sleep 1d");

  CHECK_THROWS_WITH_AS(hosts.start(hosts.network(kRouted, "alice"), "true"),
                       "cannot give 'alice' its addresses: Device or resource busy; a sandbox of "
                       "that name has them",
                       SystemError);
  CHECK_THROWS_AS(hosts.host.run([&] { sbx::forget_network(hosts.network().host, "alice"); }),
                  SystemError);
}

TEST_CASE("what a killed owner leaves is removed by the next start") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  Network network = hosts.network(kRouted, "alice");
  network.publish = {sbx::PublishedPort::parse("8080:80")};
  Network port = hosts.network(kRouted);
  port.publish = network.publish;

  for (const auto mode : kModes) {
    CAPTURE(mode);
    network.mode = port.mode = mode;
    // Under its name; with its port; with neither.
    for (const Network& next : {network, port, hosts.network(mode)}) {
      start_and_die(hosts, {network});
      CHECK(hosts.say(next, "echo up") == "up\n");
      CHECK(hosts.comes_to(before));
    }
  }
}

TEST_CASE("who wants what a killed owner had does not wait until others look again") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Network alice = hosts.network(kRouted, "alice");
  const Sandbox other = hosts.start(hosts.network(), "sleep 1d");
  const std::string with_one = hosts.inventory();
  start_and_die(hosts, {alice});
  const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
  put_off_looks(hosts, later.time_since_epoch().count());

  CHECK(hosts.say(alice, "echo up") == "up\n");
  CHECK(hosts.comes_to(with_one));
}

TEST_CASE("of many that a killed owner leaves none stays after the next start") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  std::vector<Network> networks;
  for (std::size_t i = 0; i < 30; ++i) networks.push_back(hosts.network(kModes[i % 2]));
  const Sandbox other = hosts.start(hosts.network(kBridge), "sleep 1d");
  const std::string with_one = hosts.inventory();

  start_and_die(hosts, networks);
  {
    const Sandbox next = hosts.start(hosts.network(), "sleep 1d");
    CHECK(entries(hosts) == 2);
  }
  CHECK(hosts.comes_to(with_one));
}

TEST_CASE("a pause that was noted before the machine's start keeps nobody from looking") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox other = hosts.start(hosts.network(), "sleep 1d");
  put_off_looks(hosts, std::numeric_limits<std::int64_t>::max());

  start_and_die(hosts, {hosts.network()});
  CHECK(hosts.say(hosts.network(), "echo up") == "up\n");

  CHECK(entries(hosts) == 1);
}

TEST_CASE("a start in another pid namespace leaves living sandboxes alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox owned = hosts.start(hosts.network(kRouted, "owned"), "sleep 1d");
  CHECK(in_other_pids([&] {
    return hosts.say(hosts.network(), "echo up") == "up\n" &&
           hosts.say(hosts.network(), "echo up") == "up\n";
  }));
  CHECK_THROWS_AS(hosts.start(hosts.network(kRouted, "owned"), "true"), SystemError);
}

TEST_CASE("what has ended is its owner's to take out, whatever others start meanwhile") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  Sandbox ended = hosts.start(hosts.network(kRouted, "alice"), reach(Hosts::kInternet4, 80));
  CHECK_FALSE(internet.wait_for_visitor().empty());
  siginfo_t info{};
  const auto pid = static_cast<id_t>(ended.pid());
  REQUIRE(::waitid(P_PID, pid, &info, WEXITED | WNOWAIT | __WALL) == 0);

  CHECK(hosts.say(hosts.network(), "echo up") == "up\n");
  const sbx::Report report = ended.wait();
  REQUIRE(report.network);
  CHECK(report.network->internet4.sent.packets > 0);
}

TEST_CASE("a sandbox that was let go keeps its network") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  Network network = hosts.network(kRouted, "alice");
  int pid = 0;
  {
    Sandbox sandbox = hosts.start(network, "while " + reach(Hosts::kInternet4, 80) + " do :; done");
    pid = sandbox.pid();
    sandbox.release();
  }
  CHECK(in_other_pids([&] { return hosts.say(hosts.network(), "echo up") == "up\n"; }));

  CHECK_FALSE(internet.wait_for_visitor().empty());
  CHECK(hosts.say(hosts.network(), "echo up") == "up\n");
  while (!internet.visitor().empty()) {
  }
  CHECK_FALSE(internet.wait_for_visitor().empty());
  CHECK_THROWS_AS(hosts.start(network, "true"), SystemError);

  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, __WALL);
  CHECK(hosts.say(network, "echo up") == "up\n");
}

TEST_CASE("a sandbox that was let go has no owner among the caller's children") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Network network = hosts.network(kRouted, "alice");
  Sandbox sandbox = hosts.start(network, "sleep 1d");
  const int pid = sandbox.pid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }

  sandbox.release();
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, __WALL);
  CHECK(hosts.say(network, "echo up") == "up\n");

  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("somebody else's flush of the firewall is noticed by the next start") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  const Sandbox first = hosts.start(hosts.network(), "sleep 1d");
  flush_firewall(hosts.host);

  CHECK(hosts.say(hosts.network(), reach(Hosts::kInternet4, 80)) == "reached\n");
}

TEST_CASE("a pool that is used up is told") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  Network network = hosts.network();
  network.host.ipv4_pool = IpPrefix::parse("10.213.0.0/24");
  network.host.ipv6_pool = IpPrefix::parse("fd13::/112");
  std::vector<Sandbox> all;

  const auto fill = [&] {
    for (int i = 0; i < 300; ++i) {
      all.push_back(hosts.start(network, "sleep 1d"));
    }
  };
  CHECK_THROWS_WITH_AS(fill(),
                       "cannot give the sandbox an address: No space left on device; all 253 of "
                       "the pool are in use",
                       SystemError);
  CHECK(all.size() == 253);
}

TEST_CASE("pools that cannot be used are refused, and nothing is left") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  Network network = hosts.network();

  network.host.ipv4_pool = IpPrefix::parse("10.9.0.0/16");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of '10.9.0.0/16' away: Address already in use; the "
                       "host has a route to '10.9.8.0/24'",
                       SystemError);
  network.host.ipv4_pool = IpPrefix::parse("10.213.0.0/30");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of '10.213.0.0/30' away: Invalid argument; a pool "
                       "is an IPv4 block from /8 to /24",
                       SystemError);
  network.host.ipv4_pool = IpPrefix::parse("127.0.0.0/16");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of '127.0.0.0/16' away: Invalid argument; "
                       "'127.0.0.0/8' is for special purposes",
                       SystemError);
  network.host.ipv4_pool = IpPrefix::parse("10.0.0.0/7");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of '10.0.0.0/7' away: Invalid argument; a pool is "
                       "an IPv4 block from /8 to /24",
                       SystemError);
  network.host.ipv4_pool = IpPrefix::parse("10.213.0.0/16");
  network.host.ipv6_pool = IpPrefix::parse("fd99::/48");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of 'fd99::/48' away: Address already in use; the "
                       "host has a route to 'fd99::/64'",
                       SystemError);
  network.host.ipv6_pool = IpPrefix::parse("fd13::/64");
  CHECK(hosts.comes_to(before));
  const Sandbox sandbox = hosts.start(network, "sleep 1d");
  network.host.ipv4_pool = IpPrefix::parse("10.214.0.0/16");
  CHECK_THROWS_WITH_AS(hosts.start(network, "true"),
                       "cannot give addresses of '10.214.0.0/16' away: Device or resource busy; "
                       "sandboxes have those of '10.213.0.0/16' now",
                       SystemError);
}

TEST_CASE("without the rights there is no network of the host's") {
  SBX_REQUIRE_ORDINARY_USER();
  sbx::Spec spec;
  spec.command.argv = {"true"};
  spec.network.mode = kRouted;

  CHECK_THROWS_WITH_AS(Sandbox::start(spec),
                       "cannot give the sandbox a network of the host's: Operation not permitted; "
                       "it takes CAP_NET_ADMIN and CAP_SYS_ADMIN, as root has; pasta needs neither",
                       SystemError);
}
