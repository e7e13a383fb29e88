// SPDX-License-Identifier: Apache-2.0
//
// Who the command is inside, and what it may do.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/command.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using sbx::test::Ended;
using sbx::test::sbx_run;
using sbx::test::sbx_run_shell;
using sbx::test::TempDir;

namespace {

std::string said(std::vector<std::string> flags, std::string script) {
  const Ended ended = sbx_run_shell(std::move(flags), std::move(script));
  return ended.out + ended.err;
}

/// The five sets of capabilities of a command, one word each.
std::string capabilities(std::vector<std::string> flags) {
  return said(std::move(flags),
              "echo $(sed -n 's/^Cap[A-Za-z]*:[[:space:]]*0*//p' "
              "/proc/self/status | sed 's/^$/0/')");
}

std::string own_ids() { return std::to_string(::geteuid()) + ":" + std::to_string(::getegid()); }

// chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service.
constexpr const char* kRootSet = "5fb";

}  // namespace

TEST_CASE("root's command is the ordinary user 'sandbox'") {
  SBX_REQUIRE_ROOT();
  CHECK(said({},
             "id -un; id -gn; id -u; id -g; id -G; echo $HOME; test -O $HOME -a -w $HOME && echo "
             "own") == "sandbox\nsandbox\n1000\n1000\n1000\n/home/sandbox\nown\n");
}

TEST_CASE("an ordinary user's command is himself") {
  SBX_REQUIRE_ORDINARY_USER();
  CHECK(said({}, "echo $(id -u):$(id -g)") == own_ids() + "\n");
  CHECK(said({}, "id -un") == sbx::test::run({.argv = {"id", "-un"}}).out);
}

TEST_CASE("root of a user namespace with few ids is served as an ordinary user is") {
  sbx::test::Start start = sbx::test::sbx_run_start({"--", "sh", "-c", "id -u; echo $HOME"});
  start.argv.insert(start.argv.begin(), {"unshare", "--user", "--map-root-user", "--"});

  const Ended ended = sbx::test::run(start);

  CHECK(ended.out + ended.err == "0\n/root\n");
}

TEST_CASE("no command has a capability, nor any way to one") {
  CHECK(capabilities({}) == "0 0 0 0 0\n");
  CHECK(capabilities({"--no-init"}) == "0 0 0 0 0\n");
  CHECK(said({}, "grep NoNewPrivs /proc/self/status") == "NoNewPrivs:\t1\n");
}

TEST_CASE("the ids of root's sandboxes are nobody's outside, and differ from sandbox to sandbox") {
  SBX_REQUIRE_ROOT();
  const std::string first = said({}, "cat /proc/self/uid_map");
  const std::string second = said({}, "cat /proc/self/uid_map");

  CHECK(first.find("         0 ") == 0);
  CHECK(first.find("      65536\n") != std::string::npos);
  CHECK(first != second);
}

TEST_CASE("user root has the nine capabilities that are documented, over its own ids") {
  CHECK(said({"--user", "root"}, "id -u; id -g; echo $HOME") == "0\n0\n/root\n");
  CHECK(capabilities({"--user", "root"}) ==
        std::string("0 ") + kRootSet + " " + kRootSet + " " + kRootSet + " 0\n");
  CHECK(capabilities({"--user", "0"}) == capabilities({"--user", "root"}));
}

TEST_CASE("user root can take its files and its identity where programs expect it") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--user", "root"},
             "touch /tmp/f; chown 33:33 /tmp/f; chmod 600 /tmp/f; cat /tmp/f; "
             "stat -c %u:%g:%a /tmp/f; setpriv --reuid 33 --regid 33 --clear-groups id -u") ==
        "33:33:600\n33\n");
}

TEST_CASE("user root has nothing over the host's files") {
  SBX_REQUIRE_ROOT();
  const TempDir dir;
  std::ofstream(dir.path() / "mine") << "secret";
  ::chmod((dir.path() / "mine").c_str(), 0600);
  REQUIRE(::chown((dir.path() / "mine").c_str(), 12345, 12345) == 0);

  CHECK(said({"--user", "root", "--bind", dir.path().native() + ":/data"},
             "cat /data/mine 2>/dev/null || echo refused; "
             "chown 0 /data/mine 2>/dev/null || echo refused") == "refused\nrefused\n");
}

TEST_CASE("capabilities are taken away and given in the order of the command line") {
  CHECK(capabilities({"--user", "root", "--cap-drop", "all"}) == "0 0 0 0 0\n");
  CHECK(capabilities({"--user", "root", "--cap-drop", "CAP_CHOWN"}) == "0 5fa 5fa 5fa 0\n");
  CHECK(capabilities({"--user", "root", "--cap-drop", "all", "--cap-add", "chown"}) ==
        "0 1 1 1 0\n");
  CHECK(capabilities({"--user", "root", "--cap-add", "kill", "--cap-drop", "all"}) ==
        "0 0 0 0 0\n");
}

TEST_CASE("a capability given to an ordinary user of the sandbox is there after execve") {
  CHECK(capabilities({"--cap-add", "kill"}) == "20 20 20 20 20\n");
}

TEST_CASE("a number may be the command's user, with a group") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--user", "33:44"}, "id -u; id -g") == "33\n44\n");
  CHECK(said({"--user", "65535"}, "id -u; id -g") == "65535\n65535\n");
  CHECK(said({"--user", "www-data"}, "id -un; id -g") == "www-data\n33\n");
}

TEST_CASE("a user above the range of ids is refused") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--user", "65536"}, "true") ==
        "sbx-run: user 65536 is not covered by the sandbox's id map\n");
  CHECK(said({"--user", "4294967294"}, "true") ==
        "sbx-run: user 4294967294 is not covered by the sandbox's id map\n");
}

TEST_CASE("a map is used as it is given") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--userns", "0:500000:1000,1000:700000:10"},
             "id -u; tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map") ==
        "1000\n 0 500000 1000\n 1000 700000 10\n 0 500000 1000\n 1000 700000 10\n");
  CHECK(said({"--userns", "5:500000:10"}, "id -u; id -g") == "5\n5\n");
}

TEST_CASE("a map of an ordinary user's own id needs nobody's help") {
  SBX_REQUIRE_ORDINARY_USER();
  const std::string map = "7:" + std::to_string(::geteuid()) + ":1";

  CHECK(said({"--userns", map}, "id -u") == "7\n");
}

TEST_CASE("a map of ids that are not the caller's is refused") {
  SBX_REQUIRE_ORDINARY_USER();
  const Ended ended = sbx_run({"--userns", "0:0:10", "true"});

  CHECK(ended.status == 125);
  CHECK(ended.err.starts_with("sbx-run: cannot "));
}

TEST_CASE("the host's ids are root's to ask for") {
  SBX_REQUIRE_ORDINARY_USER();
  CHECK(said({"--userns", "host"}, "true") ==
        "sbx-run: only root can run a sandbox with the host's ids\n");
}

TEST_CASE("with the host's ids root stays user 0, without capabilities") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--userns", "host"}, "id -u; tr -s ' ' < /proc/self/uid_map") ==
        "0\n 0 0 4294967295\n");
  CHECK(capabilities({"--userns", "host"}) == "0 0 0 0 0\n");
  CHECK(capabilities({"--userns", "host", "--user", "root"}) == "0 0 0 0 0\n");
  CHECK(capabilities({"--userns", "host", "--cap-add", "chown"}) == "0 1 1 1 0\n");
}

TEST_CASE("with the host's ids another user of the host is the command's") {
  SBX_REQUIRE_ROOT();
  CHECK(said({"--userns", "host", "--user", "www-data"}, "id -un; id -g") == "www-data\n33\n");
}

TEST_CASE("no_new_privs can be left out where no filter needs it") {
  CHECK(said({"--allow-new-privs", "--seccomp", "none"}, "grep NoNewPrivs /proc/self/status") ==
        "NoNewPrivs:\t0\n");
}

TEST_CASE("a filter without no_new_privs is refused where it cannot be loaded") {
  const Ended ended = sbx_run({"--allow-new-privs", "--user", "0", "--cap-drop", "all", "true"});

  CHECK((ended.status == 0 ||
         ended.err == "sbx-run: cannot load the seccomp filter: Permission denied; a filter needs "
                      "no_new_privs\n"));
}

TEST_CASE("what the caller may write he may write through a bind, as himself") {
  const TempDir dir;

  const Ended ended =
      sbx_run_shell({"--bind", dir.path().native() + ":/data"},
                    "echo made > /data/file; stat -c %u /data/file; test -O /data && echo own");

  CHECK(ended.err.empty());
  CHECK(ended.out.ends_with("own\n"));
  struct stat status {};
  REQUIRE(::stat((dir.path() / "file").c_str(), &status) == 0);
  CHECK(status.st_uid == ::geteuid());
  CHECK(status.st_gid == ::getegid());
}

TEST_CASE("the hostname is the sandbox's own and resolves") {
  CHECK(said({}, "uname -n") == "sandbox\n");
  CHECK(said({"--hostname", "box"}, "uname -n; getent hosts box | grep -cw box") == "box\n1\n");
}
