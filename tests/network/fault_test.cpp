// SPDX-License-Identifier: Apache-2.0
//
// sbx-run on the host's network, whose calls fail, or that is killed at any of them: the host's
// network is as before, at the latest after one more start.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "network/hosts.hpp"
#include "support/command.hpp"
#include "support/inject.hpp"
#include "support/process.hpp"
#include "support/require.hpp"

using sbx::test::Call;
using sbx::test::Counted;
using sbx::test::Deed;
using sbx::test::Ended;
using sbx::test::Fault;
using sbx::test::Hosts;
using sbx::test::run_traced;
using sbx::test::Start;

namespace {

constexpr std::size_t kSampled = 40;

Start start_on(const Hosts& hosts, const char* shape) {
  Start start = sbx::test::sbx_run_start(
      {"--run-dir", hosts.directory() / "run", "--state-dir", hosts.directory() / "state", "--net",
       shape, "--pool", "10.213.0.0/16", "--publish", "8080:80", "--allow", "10.9.8.7:5432",
       "--rate", "100mbit", "--name", "alice", "true"});
  start.before_exec = [&hosts] { hosts.host.enter(); };
  return start;
}

/// The calls of the tool itself that `deed` is tried at: all of them, or a sample. Who is killed
/// has done something in the kernel with each message, which the sample has therefore.
std::vector<Call> places(const Hosts& hosts, const char* shape, Deed deed) {
  std::vector<Call> calls = run_traced(start_on(hosts, shape), Counted::kFromDevNull).calls;
  std::erase_if(calls, [](const Call& call) { return call.process != "caller"; });
  if (std::getenv("SBX_TEST_ALL") != nullptr) return calls;
  std::vector<Call> some;
  const std::size_t stride = std::max<std::size_t>(calls.size() / kSampled, 1);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const bool tells = deed == Deed::kKillCaller && calls[i].number == SYS_sendmsg;
    if (tells || i % stride == 0) some.push_back(calls[i]);
  }
  return some;
}

/// What is still there after `fault` and one more start that has none; empty when all is as it was.
std::string left_after(const Hosts& hosts, const char* shape, const Fault& fault,
                       const std::string& before) {
  const auto traced = run_traced(start_on(hosts, shape), Counted::kFromDevNull, fault);
  if (traced.hung) return "it hung";
  // A keeper that was killed as well has let the next one wait for nobody.
  const Ended next = sbx::test::run(start_on(hosts, shape));
  if (next.status != 0) return "the next start: " + next.err;
  sbx::test::wait_until([&] { return hosts.inventory() == before; }, std::chrono::seconds(2));
  const std::string after = hosts.inventory();
  return after == before ? "" : after;
}

void try_all(Deed deed, int error) {
  const Hosts hosts;
  const std::string before = hosts.inventory();
  for (const char* shape : {"routed", "bridge"}) {
    const auto calls = places(hosts, shape, deed);
    REQUIRE(calls.size() > kSampled / 2);
    for (const Call& call : calls) {
      const std::string where = std::string(shape) + ", " + to_string(call);
      CAPTURE(where);
      // What is not closed keeps others waiting for its end; the kernel closes it in any case.
      const bool closes = call.number == SYS_close && deed == Deed::kFail;
      const Fault fault{.at = call, .deed = closes ? Deed::kFailLate : deed, .error = error};
      CHECK(left_after(hosts, shape, fault, before) == "");
    }
  }
}

}  // namespace

TEST_CASE("after SIGKILL at any call the next start puts the network in order") {
  SBX_REQUIRE_ROOT();

  try_all(Deed::kKillCaller, 0);
}

TEST_CASE("after a call that fails the network is in order") {
  SBX_REQUIRE_ROOT();

  for (const int error : {EPERM, ENOMEM}) try_all(Deed::kFail, error);
}
