// SPDX-License-Identifier: Apache-2.0
//
// Hosts of other kinds: what they lack, and who else is there.
#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "network/hosts.hpp"
#include "sbx/error.hpp"
#include "support/child.hpp"
#include "support/require.hpp"
#include "support/throw_errno.hpp"

using sbx::HostNetwork;
using sbx::IpFamily;
using sbx::Namespace;
using sbx::Network;
using sbx::PublishedPort;
using sbx::Sandbox;
using sbx::SystemError;
using sbx::test::address_of;
using sbx::test::bind;
using sbx::test::can_connect;
using sbx::test::Hosts;
using sbx::test::kModes;
using sbx::test::Listener;
using sbx::test::namespace_of;
using sbx::test::reach;
using sbx::test::set;
using sbx::test::setting;
using sbx::test::throw_errno;
using enum sbx::Network::Mode;

namespace {

/// Whether IPv4 works in both directions, in a sandbox that has nothing else; and nothing is left.
void check_ipv4_alone(const Hosts& hosts) {
  const std::string before = hosts.inventory();
  const Listener internet(hosts.internet, Hosts::kInternet4, 80);
  for (const auto mode : kModes) {
    CAPTURE(mode);
    Network network = hosts.network(mode, "alice");
    network.publish = {PublishedPort::parse("8080:80")};
    const Sandbox sandbox = hosts.start(network, "sleep 1d");
    const Namespace inside = namespace_of(sandbox);
    const Listener service(inside, "0.0.0.0", 80);

    CHECK(address_of(sandbox, IpFamily::kIpv6).empty());
    CHECK(can_connect(inside, Hosts::kInternet4, 80));
    CHECK(internet.wait_for_visitor() == Hosts::kHost4);
    CHECK(can_connect(hosts.internet, Hosts::kHost4, 8080));
    CHECK(can_connect(hosts.host, "127.0.0.1", 8080));
    CHECK(hosts.say(hosts.network(mode), "exec 2>&1; " + reach(Hosts::kInternet4, 80) +
                                             reach(Hosts::kInternet6, 80)) == "reached\nno\n");
  }
  CHECK(hosts.comes_to(before));
}

}  // namespace

TEST_CASE("on a host without IPv6 a sandbox has IPv4 alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  set(hosts.host, "ipv6/conf/all/disable_ipv6", "1");

  check_ipv4_alone(hosts);
}

TEST_CASE("a host whose new links are without IPv6 is one without") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  set(hosts.host, "ipv6/conf/default/disable_ipv6", "1");

  check_ipv4_alone(hosts);
}

TEST_CASE("a host whose loopback is without IPv6 has it for sandboxes") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  if (setting(hosts.host, "ipv6/conf/lo/disable_ipv6") != "0") SBX_SKIP("needs IPv6");
  set(hosts.host, "ipv6/conf/lo/disable_ipv6", "1");
  const std::string before = hosts.inventory();
  const Listener internet(hosts.internet, Hosts::kInternet6, 80);

  for (const auto mode : kModes) {
    CAPTURE(mode);
    CHECK(hosts.say(hosts.network(mode), "exec 2>&1; " + reach(Hosts::kInternet6, 80)) ==
          "reached\n");
  }
  CHECK(hosts.comes_to(before));
}

TEST_CASE("IPv6 may come and go while there are sandboxes") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  if (setting(hosts.host, "ipv6/conf/lo/disable_ipv6") != "0") SBX_SKIP("needs IPv6");

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Sandbox first = hosts.start(hosts.network(mode), "sleep 1d");
    set(hosts.host, "ipv6/conf/all/disable_ipv6", "1");
    const Sandbox second = hosts.start(hosts.network(mode), "sleep 1d");
    set(hosts.host, "ipv6/conf/all/disable_ipv6", "0");
    const Sandbox third = hosts.start(hosts.network(mode), "sleep 1d");

    CHECK_FALSE(address_of(first, IpFamily::kIpv6).empty());
    CHECK(address_of(second, IpFamily::kIpv6).empty());
    CHECK_FALSE(address_of(third, IpFamily::kIpv6).empty());
  }
}

TEST_CASE("a sandbox whose namespace is without IPv6 has IPv4 alone") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  if (setting(hosts.host, "ipv6/conf/lo/disable_ipv6") != "1") {
    SBX_SKIP("needs a kernel that was started with ipv6.disable_ipv6=1");
  }
  // As an operator has it who wants IPv6 nevertheless.
  set(hosts.host, "ipv6/conf/all/disable_ipv6", "0");

  check_ipv4_alone(hosts);
}

namespace {

namespace fs = std::filesystem;

/// Mounts a file system that holds no more than `options` say, among one's own mounts.
void mount_small(const fs::path& where, const std::string& options) {
  fs::create_directories(where);
  if (::mount("small", where.c_str(), "tmpfs", 0, options.c_str()) < 0) {
    throw_errno("cannot mount a tmpfs");
  }
}

void make_read_only(const fs::path& where) {
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  bind(where, where);
  if (::mount(nullptr, where.c_str(), nullptr, flags, nullptr) < 0) {
    throw_errno("cannot make a mount read-only");
  }
}

/// Of another user namespace, with all rights there.
void become_root_elsewhere() {
  if (::unshare(CLONE_NEWUSER) < 0) {
    throw_errno("cannot have a user namespace");
  }
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 0 1";
  std::ofstream("/proc/self/gid_map") << "0 0 1";
}

/// What a start ends with; empty when there is nothing to complain of.
std::string complaint(const Network& network) {
  try {
    sbx::run(Hosts::spec(network, "true"));
    return "";
  } catch (const SystemError& error) {
    return error.what();
  }
}

std::ptrdiff_t count_files(const fs::path& directory) {
  std::error_code none;
  return std::distance(fs::directory_iterator(directory, none), fs::directory_iterator());
}

/// Tries it with what is in use, or what is kept, on a disk that has room for so much.
void check_full_disk(const Hosts& hosts, const Network& network, const std::string& options) {
  CAPTURE(options);
  const std::string before = hosts.inventory();
  const fs::path small = hosts.directory() / "small";
  for (const auto directory : {&HostNetwork::run_directory, &HostNetwork::state_directory}) {
    Network tried = network;
    tried.host.*directory = small / "book";
    const std::string what = hosts.with_own_mounts([&] {
      mount_small(small, options);
      std::string said = complaint(tried);
      if (fs::exists(tried.host.run_directory / ".network")) said += " and there is a book";
      const fs::path kept = tried.host.state_directory / "network";
      if (count_files(kept / "slots") > count_files(kept / "names")) said += " and a lost place";
      return said;
    });
    CAPTURE(what);
    if (!what.empty()) {
      CHECK(what.starts_with("cannot "));
      CHECK(what.find(small) != std::string::npos);
      CHECK(what.ends_with("': No space left on device"));
    }
    CHECK(hosts.comes_to(before));
  }
}

}  // namespace

TEST_CASE("on a full disk a start makes nothing, or all that it takes back") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Network network = hosts.network(mode, "alice");
    for (int pages = 1; pages <= 4; ++pages) {
      check_full_disk(hosts, network, "size=" + std::to_string(pages * ::getpagesize()));
    }
    for (int files = 2; files <= 10; ++files) {
      check_full_disk(hosts, network, "nr_inodes=" + std::to_string(files));
    }
  }
}

TEST_CASE("directories and settings that cannot be written to are named, and nothing is left") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();

  for (const auto mode : kModes) {
    CAPTURE(mode);
    const Network network = hosts.network(mode);
    for (const char* name : {"run", "state"}) {
      const fs::path directory = hosts.directory() / name;
      fs::remove_all(directory);
      fs::create_directory(directory);
      CHECK(hosts.with_own_mounts([&] {
        make_read_only(directory);
        return complaint(network);
      }) == "cannot make the directory '" +
                (directory / (name == std::string("run") ? ".network" : "network")).native() +
                "': Read-only file system");
    }
    CHECK(hosts.with_own_mounts([&] {
      make_read_only("/proc/sys");
      return complaint(network);
    }) == "cannot set '/proc/sys/net/ipv4/ip_forward' to 1: Read-only file system");
    CHECK(hosts.comes_to(before));
  }
}

TEST_CASE("who is root in another user namespace than the host's network has no sandbox in it") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const std::string before = hosts.inventory();
  const std::string told = sbx::test::in_child([&] {
    hosts.host.enter();
    become_root_elsewhere();
    return complaint(hosts.network());
  });

  CHECK(
      told ==
      "cannot give the sandbox a network of the host's: Operation not permitted; it is of another "
      "user namespace than the caller's");
  CHECK(hosts.comes_to(before));
}
