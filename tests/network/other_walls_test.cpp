// SPDX-License-Identifier: Apache-2.0
//
// Other firewalls beside ours: they are told of where they refuse what sandboxes send.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "network/hosts.hpp"
#include "sbx/nftables.hpp"
#include "support/command.hpp"
#include "support/require.hpp"

using sbx::Sandbox;
using sbx::nft::BaseChain;
using sbx::nft::Batch;
using sbx::nft::Family;
using sbx::nft::Hook;
using sbx::nft::Rule;
using sbx::nft::Table;
using sbx::test::Hosts;

namespace {

const Table kOther{Family::kInet, "other"};

/// A chain of another's, with these rules.
void add_chain(const Hosts& hosts, const char* name, const BaseChain& base,
               const std::vector<Rule>& rules = {}, const Table& table = kOther) {
  Batch batch;
  batch.add(table).add(table, sbx::nft::Chain{.name = name, .base = base});
  for (const Rule& rule : rules) batch.add(table, name, rule);
  sbx::nft::Nftables(hosts.host).commit(batch);
}

std::vector<std::string> warnings(const Hosts& hosts) {
  return hosts.start(hosts.network(), "true").network_warnings();
}

std::string warning(const std::string& chain) {
  return chain + " drops what it does not know: let it accept";
}

}  // namespace

TEST_CASE("another firewall that drops what it does not know is told of") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const Sandbox other = hosts.start(hosts.network(), "sleep 1d");
  const Table filter{Family::kIpv4, "filter"};
  CHECK(warnings(hosts).empty());
  // One that accepts, and one that has nothing to do with what the host passes on.
  add_chain(hosts, "forward", {.hook = Hook::kForward});
  add_chain(hosts, "input", {.hook = Hook::kInput, .drops = true});
  CHECK(warnings(hosts).empty());
  add_chain(hosts, "FORWARD", {.hook = Hook::kForward, .drops = true}, {}, filter);

  const auto found = warnings(hosts);
  REQUIRE(found.size() == 1);
  CHECK(
      found[0].starts_with("the chain 'FORWARD' of the table 'ip filter' drops what it does "
                           "not know: let it accept"));
  sbx::nft::Nftables(hosts.host).commit(Batch().remove(filter));
  CHECK(warnings(hosts).empty());
}

TEST_CASE("another firewall that refuses by its last rule is told of") {
  SBX_REQUIRE_ROOT();
  const auto elsewhere = Rule().equals(sbx::nft::Field::kProtocol, sbx::nft::Value().add_byte(6));

  for (const Rule& last : {Rule().reject(), Rule().drop(), Rule().reset()}) {
    const Hosts hosts;
    add_chain(hosts, "filter_FORWARD", {.hook = Hook::kForward},
              {Rule(elsewhere).accept(), Rule(last)});

    const auto told = warnings(hosts);

    REQUIRE(told.size() == 1);
    CHECK(told[0].starts_with(warning("the chain 'filter_FORWARD' of the table 'inet other'")));
  }
}

TEST_CASE("a firewall that refuses no more than it names is not told of") {
  SBX_REQUIRE_ROOT();
  const Hosts hosts;
  const auto some = Rule().equals(sbx::nft::Field::kProtocol, sbx::nft::Value().add_byte(17));
  add_chain(hosts, "forward", {.hook = Hook::kForward}, {Rule().accept(), Rule(some).drop()});
  add_chain(hosts, "output", {.hook = Hook::kOutput, .drops = true});

  CHECK(warnings(hosts).empty());
}

TEST_CASE("a firewall that refuses what is for the host is told of where a name server is there") {
  SBX_REQUIRE_ROOT();

  for (const std::string server : {"127.0.0.1", "192.0.2.53"}) {
    CAPTURE(server);
    const bool is_here = server == "127.0.0.1";
    const Hosts hosts;
    add_chain(hosts, "INPUT", {.hook = Hook::kInput, .drops = true});

    const auto told = hosts.with_resolv_conf("nameserver " + server + "\n", [&] {
      return Sandbox::start(Hosts::spec(hosts.network(), "true")).network_warnings();
    });

    REQUIRE(told.size() == (is_here ? 1 : 0));
    CHECK(
        (!is_here || told[0].starts_with(warning("the chain 'INPUT' of the table 'inet other'"))));
  }
}

TEST_CASE("a firewall of the time before nf_tables is told of") {
  SBX_REQUIRE_ROOT();
  for (const char* rule : {"-P FORWARD DROP", "-A FORWARD -j REJECT", "-A FORWARD -j DROP"}) {
    CAPTURE(rule);
    const Hosts hosts;
    const auto run_on_host = [&](const std::string& command) {
      return hosts.host.run([&] {
        return sbx::test::run({.argv = {"/bin/sh", "-c", "/usr/sbin/" + command}}).status == 0;
      });
    };
    if (!run_on_host("iptables-legacy -w --list")) {
      SBX_SKIP("needs iptables, and a kernel that has what was before nf_tables");
    }
    CHECK(warnings(hosts).empty());

    REQUIRE(run_on_host(std::string("iptables-legacy -w ") + rule));
    REQUIRE(run_on_host("iptables-legacy -w -t mangle --list"));
    CHECK(run_on_host(std::string("ip6tables-legacy -w ") + rule));

    const auto told = warnings(hosts);
    REQUIRE(told.size() == 2);
    CHECK(told[0].starts_with(warning("the chain 'FORWARD' of iptables-legacy")));
    CHECK(told[1].starts_with(warning("the chain 'FORWARD' of ip6tables-legacy")));
    CHECK(run_on_host("iptables-legacy -w -I FORWARD -j ACCEPT"));
  }
}
