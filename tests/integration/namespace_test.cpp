// SPDX-License-Identifier: Apache-2.0
#include "sbx/namespace.hpp"

#include <doctest/doctest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <future>
#include <sbx/error.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/one_thread.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::Namespace;
using sbx::NamespaceKind;
using sbx::SystemError;
using sbx::test::in_child;

namespace {

constexpr uid_t kUser = 4242;

std::vector<std::string> interface_names() {
  std::vector<std::string> names;
  struct if_nameindex* const all = ::if_nameindex();
  for (auto* each = all; each != nullptr && each->if_index != 0; ++each) {
    names.emplace_back(each->if_name);
  }
  ::if_freenameindex(all);
  return names;
}

std::string ids_in(const Namespace& user_namespace) {
  return in_child([&] {
    user_namespace.enter();
    return std::to_string(::getuid()) + ":" + std::to_string(::getgid());
  });
}

}  // namespace

TEST_CASE("a new network namespace holds only the loopback") {
  SBX_REQUIRE_ROOT();

  const auto ns = Namespace::create(NamespaceKind::kNet);

  CHECK(ns.run(interface_names) == std::vector<std::string>{"lo"});
}

TEST_CASE("who creates a namespace stays where he is") {
  SBX_REQUIRE_ROOT();
  const auto before = Namespace::current(NamespaceKind::kUts).inode();

  const auto ns = Namespace::create(NamespaceKind::kUts);

  CHECK(Namespace::current(NamespaceKind::kUts).inode() == before);
  CHECK(ns.inode() != before);
}

TEST_CASE("a namespace can be created of every kind but pid") {
  SBX_REQUIRE_ROOT();
  using enum NamespaceKind;
  const auto kind_of_new = [](NamespaceKind kind) { return Namespace::create(kind).kind(); };

  CHECK(kind_of_new(kTime) == kTime);
  CHECK(kind_of_new(kMount) == kMount);
  CHECK(kind_of_new(kCgroup) == kCgroup);
  CHECK(kind_of_new(kUts) == kUts);
  CHECK(kind_of_new(kIpc) == kIpc);
  CHECK(kind_of_new(kUser) == kUser);
  CHECK(kind_of_new(kNet) == kNet);
  CHECK_THROWS_WITH_AS(Namespace::create(kPid),
                       "cannot create a pid namespace by itself: it lives only as long as its "
                       "process 1; use Sandbox",
                       std::invalid_argument);
}

TEST_CASE("a new time namespace is not that of the thread that made it") {
  SBX_REQUIRE_ROOT();

  const auto ns = Namespace::create(NamespaceKind::kTime);

  CHECK(ns.inode() != Namespace::current(NamespaceKind::kTime).inode());
}

TEST_CASE("creating namespaces leaves no descriptor and no child behind") {
  SBX_REQUIRE_ROOT();
  const auto before = sbx::test::open_fds();

  Namespace::create(NamespaceKind::kNet);
  Namespace::create_user({{0, 0, 1}}, {{0, 0, 1}});

  CHECK(sbx::test::open_fds() == before);
  CHECK(::waitpid(-1, nullptr, __WALL) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a namespace can be opened by the process that is in it") {
  const auto own = Namespace::current(NamespaceKind::kIpc);
  const auto same = Namespace::of(::getpid(), NamespaceKind::kIpc);

  CHECK(own.kind() == NamespaceKind::kIpc);
  CHECK(own.inode() == same.inode());
}

TEST_CASE("what is thrown inside a namespace reaches the caller") {
  SBX_REQUIRE_ROOT();
  const auto ns = Namespace::create(NamespaceKind::kUts);

  CHECK_THROWS_WITH_AS(ns.run([] { throw std::runtime_error("no such luck"); }), "no such luck",
                       std::runtime_error);
}

TEST_CASE("a thread can enter a mount namespace while others stay") {
  SBX_REQUIRE_ROOT();
  const auto ns = Namespace::create(NamespaceKind::kMount);

  const auto inside = ns.run([] { return Namespace::current(NamespaceKind::kMount).inode(); });

  CHECK(inside == ns.inode());
  CHECK(Namespace::current(NamespaceKind::kMount).inode() != ns.inode());
}

TEST_CASE("the children of a thread are born in the pid namespace that it entered") {
  SBX_REQUIRE_ROOT();
  int status = -1;
  std::vector<std::byte> stack(65536);
  const auto sleep = [](void*) { return ::pause(); };
  const pid_t init = ::clone(sleep, stack.data() + stack.size(), CLONE_NEWPID | SIGCHLD, nullptr);

  const auto ns = Namespace::of(init, NamespaceKind::kPid);
  ns.run([&] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::getpid());
    ::waitpid(child, &status, 0);
  });
  ::kill(init, SIGKILL);
  ::waitpid(init, nullptr, 0);

  CHECK(WEXITSTATUS(status) == 2);
}

TEST_CASE("the ids of a new user namespace are those of its maps") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();

  const auto ns = Namespace::create_user({{7, 0, 1}, {100, 100000, 10}}, {{8, 0, 1}});

  CHECK(ids_in(ns) == "7:8");
}

TEST_CASE("a user namespace without maps has no ids") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();

  CHECK(ids_in(Namespace::create(NamespaceKind::kUser)) == "65534:65534");
}

TEST_CASE("an ordinary user can map his own id") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();

  const auto said = in_child([] {
    sbx::test::become_user(kUser);
    return ids_in(Namespace::create_user({{0, kUser, 1}}, {{0, kUser, 1}}));
  });

  CHECK(said == "0:0");
}

TEST_CASE("a threaded program can create a user namespace") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();
  auto made = std::async(std::launch::async, [] {
    return Namespace::create_user({{0, 0, 1}}, {{0, 0, 1}});
  });

  CHECK(ids_in(made.get()) == "0:0");
}

TEST_CASE("making a user namespace disturbs neither SIGCHLD nor the signal mask") {
  SBX_REQUIRE_ROOT();

  const auto said = in_child([] {
    static volatile std::sig_atomic_t signals = 0;
    ::signal(SIGCHLD, [](int) { signals = signals + 1; });
    sigset_t before, after;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    Namespace::create_user({{0, 0, 1}}, {{0, 0, 1}});
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    return std::to_string(signals) + (sigismember(&after, SIGTERM) == 1 ? " blocked" : " open");
  });

  CHECK(said == "0 open");
}

TEST_CASE("a namespace that cannot be opened is named") {
  CHECK_THROWS_WITH_AS(
      Namespace::open(NamespaceKind::kNet, "/run/netns/absent"),
      "cannot open the net namespace '/run/netns/absent': No such file or directory", SystemError);
  CHECK_THROWS_WITH_AS(
      Namespace::of(999999999, NamespaceKind::kUser),
      "cannot open the user namespace '/proc/999999999/ns/user': No such file or directory",
      SystemError);
}

TEST_CASE("a file that is no namespace of the kind cannot be opened as one") {
  CHECK_THROWS_WITH_AS(Namespace::open(NamespaceKind::kNet, "/proc/self/ns/uts"),
                       "cannot use '/proc/self/ns/uts' as a net namespace: Invalid argument",
                       SystemError);
  CHECK_THROWS_WITH_AS(Namespace::open(NamespaceKind::kNet, "/etc/passwd"),
                       "cannot use '/etc/passwd' as a net namespace: Invalid argument",
                       SystemError);
  CHECK_THROWS_WITH_AS(Namespace::open(NamespaceKind::kNet, "/"),
                       "cannot use '/' as a net namespace: Invalid argument", SystemError);
}

TEST_CASE("a fifo in the place of a namespace does not make the caller wait") {
  const sbx::test::TempDir dir;
  const auto fifo = dir.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);

  CHECK_THROWS_AS(Namespace::open(NamespaceKind::kNet, fifo), SystemError);
}

TEST_CASE("an ordinary user can neither create nor enter a network namespace") {
  SBX_REQUIRE_ROOT();

  CHECK(in_child([]() -> std::string {
          sbx::test::become_user(kUser);
          Namespace::create(NamespaceKind::kNet);
          return "created";
        }) == "cannot create a net namespace: Operation not permitted");
  CHECK(in_child([]() -> std::string {
          const auto ns = Namespace::create(NamespaceKind::kNet);
          sbx::test::become_user(kUser);
          ns.enter();
          return "entered";
        }) == "cannot enter the net namespace made by this process: Operation not permitted");
}

TEST_CASE("a program with threads cannot enter a user or a time namespace") {
  SBX_REQUIRE_ROOT();

  CHECK_THROWS_WITH_AS(Namespace::create(NamespaceKind::kUser).run([] {}),
                       "cannot enter the user namespace made by this process: Invalid argument; a "
                       "process of more than one thread, or one that is in it, cannot enter a user "
                       "namespace",
                       SystemError);
  CHECK_THROWS_WITH_AS(Namespace::create(NamespaceKind::kTime).run([] {}),
                       "cannot enter the time namespace made by this process: Too many users; a "
                       "process of more than one thread cannot enter a time namespace",
                       SystemError);
}

TEST_CASE("a limit on user namespaces that is reached is named") {
  SBX_REQUIRE_ROOT();
  SBX_REQUIRE_CHILDREN_OF_ONE_THREAD();

  // The limit is that of a user namespace, so one made for the test can have its own.
  const auto said = in_child([]() -> std::string {
    Namespace::create_user({{0, 0, 1}}, {{0, 0, 1}}).enter();
    std::ofstream("/proc/sys/user/max_user_namespaces") << 0;
    Namespace::create(NamespaceKind::kUser);
    return "created";
  });

  CHECK(said ==
        "cannot create a user namespace: No space left on device; raise the sysctl "
        "user.max_user_namespaces, which is 0");
}

TEST_CASE("a value that is no kind of namespace has no name") {
  CHECK_THROWS_WITH_AS((void)sbx::to_string(static_cast<NamespaceKind>(1)),
                       "unknown kind of namespace 0x1", std::invalid_argument);
}
