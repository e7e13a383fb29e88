// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <utility>

#include "bench/network.hpp"
#include "bench/place.hpp"
#include "bench/stream.hpp"
#include "sbx/link.hpp"
#include "sbx/nftables.hpp"

namespace sbx::bench {
namespace {

using Mode = Network::Mode;

constexpr double kBareBar = 1 / 0.95;
constexpr double kTenantsBar = 1.1;
constexpr int kPieces = 8;
constexpr int kExchanges = 500;
constexpr int kDatagrams = 10'000;
constexpr detail::Slot kFirstLoaded = 20'000;

/// Two ends of one veth pair.
struct Direct {
  Namespace from = Namespace::create(NamespaceKind::kNet);
  Namespace to = Namespace::create(NamespaceKind::kNet);
  static constexpr const char* kTo = "192.0.2.2";

  Direct() {
    Link near =
        Rtnetlink(from).create({.name = "eth0", .peer_name = "eth0", .peer_namespace = &to});
    near.release();
    Link far = Rtnetlink(to).open("eth0");
    near.add_address(IpPrefix::parse("192.0.2.1/24"));
    far.add_address(IpPrefix::parse(std::string(kTo) + "/24"));
    for (Link* link : {&near, &far}) link->set_up();
    for (const Link* link : {&near, &far}) (void)link->is_up();
  }
};

/// What a sandbox and its host are without our firewall: a namespace, and one in the middle that
/// sends what comes from there on to the place outside. With kBridge a bridge is between.
struct Bare {
  Place middle;
  Inside inside;

  explicit Bare(Mode mode = Mode::kRouted) {
    const Namespace network = inside.network();
    Rtnetlink on_middle(middle.host);
    Link outer = on_middle.create({.name = "in0", .peer_name = "eth0", .peer_namespace = &network});
    outer.release();
    Link inner = Rtnetlink(network).open("eth0");
    if (mode == Mode::kBridge) {
      Link bridge = on_middle.create_bridge("bridge");
      bridge.release();
      outer.join(bridge);
      bridge.set_up();
    }
    Link way = on_middle.open(mode == Mode::kBridge ? "bridge" : "in0");
    way.add_address(IpPrefix::parse("192.0.2.1/24"));
    inner.add_address(IpPrefix::parse("192.0.2.2/24"));
    for (Link* link : {&outer, &inner}) link->set_up();
    inner.add_route(
        {.destination = IpPrefix::parse("0.0.0.0/0"), .gateway = IpAddress::parse("192.0.2.1")});
    Rtnetlink(middle.outside)
        .open("eth0")
        .add_route({.destination = IpPrefix::parse("192.0.2.0/24"),
                    .gateway = IpAddress::parse("198.51.100.2")});
    middle.host.run([] { std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1"; });
    for (const Link* link : {&outer, &inner, &way}) (void)link->is_up();
  }

  [[nodiscard]] Stream stream() const {
    return {inside.network(), middle.outside, Place::kOutside};
  }
};

/// The same with the least that lets many share the host's address: connections are tracked, and
/// one rule translates them.
struct Translated : Bare {
  explicit Translated(Mode mode) : Bare(mode) {
    const nft::Table table{nft::Family::kInet, "least"};
    nft::Batch batch;
    batch.add(table)
        .add(table, nft::Chain{.name = "translate",
                               .base = nft::BaseChain{.type = nft::ChainType::kNat,
                                                      .hook = nft::Hook::kPostrouting,
                                                      .priority = 100}})
        .add(
            table, "translate",
            nft::Rule().within(nft::Field::kSource4, IpPrefix::parse("192.0.2.0/24")).masquerade());
    nft::Nftables(middle.host).commit(batch);
  }
};

/// A sandbox and its host.
struct Walled {
  Place place;
  Tenants tenants;

  explicit Walled(Mode mode) : tenants(place, mode) { tenants.grow(1); }

  [[nodiscard]] Stream stream() const {
    return {tenants[0].network(), place.outside, Place::kOutside};
  }
  [[nodiscard]] Datagrams datagrams() const {
    return {tenants[0].network(), place.outside, Place::kOutside};
  }
};

struct Named {
  const char* name;
  Stream stream;
};

template <typename F>
std::vector<Row> rows_of(const std::vector<Named>& ways, const F& take) {
  std::vector<Row> rows;
  for (const Named& way : ways) {
    rows.push_back({.name = way.name, .run = [&way, take] { return take(way.stream); }});
  }
  return rows;
}

constexpr std::size_t kBareRow = 1;
constexpr std::size_t kTranslatedRow = 2;  // routed, and the next by a bridge; then the sandboxes
constexpr std::size_t kSandboxRow = 4;

/// Measures the rows, and holds those of sandboxes to the bare links, with what the kernel takes
/// for translation; and to the least that translates, which shows what our rules add.
void compare(Section& section, const std::string& title, std::vector<Row> rows, int rounds) {
  measure(rows, rounds, kPieces);
  Grid grid = grid_of(title, rows, kBareRow);
  grid.header.back() = "to bare links";
  grid.header.emplace_back("to the least");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double to_bare = rows[i].ratio_to(rows[kBareRow]);
    grid.rows[i].back() = fmt::format("{:.3f}", to_bare);
    grid.rows[i].emplace_back();
    if (i < kSandboxRow) continue;
    const double to_least = rows[i].ratio_to(rows[i - kSandboxRow + kTranslatedRow]);
    grid.rows[i].back() = fmt::format("{:.3f}", to_least);
    for (const auto& [other, ratio] :
         {std::pair("bare links", to_bare), std::pair("the least that translates", to_least)}) {
      section.bars.push_back({.name = fmt::format("{}, {}, to {}", title, rows[i].name, other),
                              .measured = ratio,
                              .allowed = kBareBar,
                              .unit = "times"});
    }
  }
  section.grids.push_back(std::move(grid));
}

void compare_with_bare(const Scale& scale, Section& section) {
  const Direct direct;
  const Bare bare;
  const Translated translated(Mode::kRouted);
  const Translated bridged(Mode::kBridge);
  const Walled routed(Mode::kRouted);
  const Walled bridge(Mode::kBridge);
  std::vector<Named> ways;
  ways.push_back({"one veth pair", Stream(direct.from, direct.to, Direct::kTo)});
  ways.push_back({"bare links and a host between", bare.stream()});
  ways.push_back({"the same, tracked and masqueraded", translated.stream()});
  ways.push_back({"the same, by a bridge", bridged.stream()});
  ways.push_back({"a sandbox, routed", routed.stream()});
  ways.push_back({"a sandbox, bridge", bridge.stream()});
  const std::size_t bytes = scale.big_bytes / 16;
  const std::string size = fmt::format("{} MiB over TCP", bytes >> 20);
  const auto transfer = [bytes](Direction direction) {
    return [=](const Stream& s) { return s.transfer(bytes / kPieces, direction); };
  };
  compare(section, size + " to outside", rows_of(ways, transfer(Direction::kOut)), scale.rounds);
  compare(section, size + " from outside", rows_of(ways, transfer(Direction::kIn)), scale.rounds);
  compare(section, fmt::format("{} questions and answers over TCP", kPieces * kExchanges),
          rows_of(ways, [](const Stream& s) { return s.exchange(kExchanges); }), scale.rounds);
}

/// Lets tenants in that have no sandbox. Milliseconds: until the batch is there, and until the
/// kernel has it.
std::pair<double, double> load(const Walled& walled, int count) {
  const detail::Wall wall = walled.place.wall();
  double written = 0;
  const double all = walled.place.time([&] {
    const auto start = Clock::now();
    nft::Batch batch;
    for (int i = 0; i < count; ++i) {
      admit(batch, wall,
            {.slot = kFirstLoaded + static_cast<detail::Slot>(i),
             .network = walled.place.network(Mode::kRouted),
             .released = {}});
    }
    written = microseconds_since(start);
    nft::Nftables().commit(batch);
  });
  return {written / 1000, (all - written) / 1000};
}

void compare_tenants(const Scale& scale, Section& section) {
  const Walled few(Mode::kRouted);
  const Walled many(Mode::kRouted);
  const int most = scale.alive * 10;
  load(few, 10);
  const auto [written, taken] = load(many, most);
  const Stream few_stream = few.stream();
  const Stream many_stream = many.stream();
  const Datagrams few_datagrams = few.datagrams();
  const Datagrams many_datagrams = many.datagrams();
  const std::string exchanges = fmt::format("{} questions and answers, beside ", kExchanges);
  const std::string datagrams = fmt::format("{} datagrams without an answer, beside ", kDatagrams);
  std::vector<Row> rows = {
      {.name = exchanges + "10", .run = [&] { return few_stream.exchange(kExchanges); }},
      {.name = exchanges + std::to_string(most),
       .run = [&] { return many_stream.exchange(kExchanges); }},
      {.name = datagrams + "10", .run = [&] { return few_datagrams.send(kDatagrams); }},
      {.name = datagrams + std::to_string(most),
       .run = [&] { return many_datagrams.send(kDatagrams); }}};
  measure(rows, scale.rounds);
  for (const std::size_t first : {0, 2}) {
    section.bars.push_back({.name = fmt::format("{} tenants, to 10", rows[first + 1].name),
                            .measured = rows[first + 1].ratio_to(rows[first]),
                            .allowed = kTenantsBar,
                            .unit = "times"});
  }
  section.grids.push_back(grid_of("A sandbox's packets, by how many tenants have rules", rows, 0));
  section.grids.back().notes = {fmt::format(
      "To let {} tenants in takes {:.0f} ms to write, and {:.0f} ms of the kernel, in one batch. "
      "Datagrams a second: {:.0f} thousand beside 10, {:.0f} thousand beside {}.",
      most, written, taken, kDatagrams * 1000 / rows[2].median(),
      kDatagrams * 1000 / rows[3].median(), most)};
}

}  // namespace

Section measure_traffic(const Scale& scale) {
  Section section;
  compare_with_bare(scale, section);
  compare_tenants(scale, section);
  return section;
}

}  // namespace sbx::bench
