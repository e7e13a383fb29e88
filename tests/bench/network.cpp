// SPDX-License-Identifier: Apache-2.0
#include "bench/network.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "bench/place.hpp"
#include "bench/program.hpp"
#include "support/process.hpp"

namespace sbx::bench {
namespace {

using Mode = Network::Mode;

constexpr double kFloorBar = 1.2;
constexpr double kGrowthBar = 2;
constexpr detail::Slot kFloorSlot = 60001;
constexpr detail::Slot kProgramsSlot = 60002;

/// What takes a turn: how one sandbox's network is made, and how it is ended. Both the library and
/// the floor use the time in which the kernel makes the namespace.
struct Way {
  std::function<void()> enter;  // what needs no namespace yet
  std::function<void(Inside&)> connect;
  std::function<void()> after;  // while the program starts
  std::function<void()> leave;
};

/// What is not in the row itself.
struct Rest {
  std::vector<double> afters;
  std::vector<double> ends;
};

/// The time of the set-up in the row, and the others where they are told.
Row row_of(std::string name, const Place& place, Way way, Rest* rest) {
  return {.name = std::move(name), .run = [&place, way = std::move(way), rest] {
            const std::size_t links = place.count_links();
            std::unique_ptr<Inside> inside;
            const double took = place.time([&] {
              inside = std::make_unique<Inside>();
              way.enter();
              way.connect(*inside);
            });
            const double after = place.time(way.after);
            inside.reset();
            const double end = place.time(way.leave);
            if (rest != nullptr) {
              rest->afters.push_back(after);
              rest->ends.push_back(end);
            }
            // Else the next row would share locks and processors with what the kernel still cleans
            // up.
            if (!test::wait_until([&] { return place.count_links() == links; })) {
              throw std::runtime_error("a link stays");
            }
            (void)test::wait_until([] { return !kernel_ends_networks(); });
            return took;
          }};
}

Row library_row(std::string name, const Place& place, Mode mode, Rest* rest) {
  struct State {
    Network network;
    std::optional<detail::Attachment> attachment;
  };
  const auto state = std::make_shared<State>(State{place.network(mode), {}});
  return row_of(std::move(name), place,
                {.enter = [state] { state->attachment.emplace(state->network); },
                 .connect =
                     [state](Inside& inside) {
                       UniqueFd socket = inside.socket();
                       state->attachment->connect(inside.pid(), std::move(socket));
                     },
                 .after = [state] { state->attachment->finish(); },
                 .leave = [state] { state->attachment->end(); }},
                rest);
}

Row floor_row(std::string name, const Place& place, Mode mode, Rest* rest) {
  const auto tenant = std::make_shared<FloorTenant>(place, mode, kFloorSlot);
  return row_of(std::move(name), place,
                {.enter = [tenant] { tenant->enter(); },
                 .connect = [tenant](Inside& inside) { tenant->connect(inside); },
                 .after = [] {},
                 .leave = [tenant] { tenant->leave(); }},
                rest);
}

/// What ip(8) is to do on the host, and in the sandbox's namespace; and nft(8).
struct Scripts {
  std::string outside;
  std::string inside;
  std::string elements;
};

std::string outside_script(const FloorTenant& tenant, const Inside& inside) {
  const auto& self = tenant.addresses();
  const bool routed = self.entry == self.link;
  const std::string mac = self.mac.to_string();
  std::string text = fmt::format(
      "link add {} group {} arp off {} type veth peer name eth0 address {} "
      "netns {}\n",
      self.link, tenant.wall().names.group, routed ? "address 02:73:62:ff:ff:ff" : "", mac,
      inside.pid());
  if (!routed) {
    text += fmt::format(
        "link set {0} master {1}\nlink set {0} type bridge_slave isolated on "
        "learning off flood off mcast_flood off bcast_flood off\n",
        self.link, self.entry);
  }
  text += fmt::format("link set {0} addrgenmode none\nlink set {0} up\n", self.link);
  for (const IpAddress& address : {self.ipv4, self.ipv6}) {
    text += fmt::format(
        "route replace {0} dev {1}\nneigh replace {0} lladdr {2} dev {1} "
        "nud permanent\n",
        address.to_string(), self.entry, mac);
  }
  return text;
}

std::string inside_script(const FloorTenant& tenant) {
  const auto& [names, pools] = tenant.wall();
  std::string text = "link set eth0 addrgenmode none\nlink set eth0 up\n";
  for (const IpPrefix& pool : {pools.ipv4, pools.ipv6}) {
    text += fmt::format(
        "addr add {0} dev eth0 {2}\nneigh replace {1} lladdr 02:73:62:ff:ff:ff "
        "dev eth0 nud permanent\nroute replace default via {1} dev eth0 onlink\n",
        pool.at(kProgramsSlot).to_string(), pool.at(detail::kGateway).to_string(),
        pool.address.family() == IpFamily::kIpv6 ? "nodad" : "");
  }
  return text;
}

/// To `verb` them, "add" or "delete".
std::string elements_script(const FloorTenant& tenant, const char* verb) {
  const auto& self = tenant.addresses();
  const std::string& table = tenant.wall().names.table;
  const auto element = [&](const char* family, const std::string& set, const std::string& what) {
    return fmt::format("{} element {} {} {} {{ {} }}\n", verb, family, table, set, what);
  };
  const bool routed = self.entry == self.link;
  std::string text = element(routed ? "inet" : "bridge", "forged", '"' + self.link + '"');
  for (const auto& [address, end] : {std::pair(self.ipv4, "4"), std::pair(self.ipv6, "6")}) {
    const std::string own = address.to_string();
    const auto pin = [&](const std::string& link) {
      return fmt::format("\"{}\" . {} . {}", link, self.mac.to_string(), own);
    };
    const std::string directions = fmt::format("{0} . original, {0} . reply", own);
    text += element("inet", std::string("pins") + end, pin(self.entry) + " : accept");
    text += element("inet", std::string("standard") + end, own);
    text += element("inet", std::string("own") + end, fmt::format("{0} . {0}", own));
    text += element("inet", std::string("sent") + end, directions);
    text += element("inet", std::string("received") + end, directions);
    if (!routed) text += element("bridge", std::string("pins") + end, pin(self.link));
  }
  return text;
}

Row programs_row(const Place& place, Mode mode) {
  const auto tenant = std::make_shared<FloorTenant>(place, mode, kProgramsSlot);
  const auto folder = place.folder();
  const auto write = [folder](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  const std::string forwarding =
      mode == Mode::kBridge
          ? fmt::format("bridge fdb replace {} dev {} master static; ",
                        tenant->addresses().mac.to_string(), tenant->addresses().link)
          : "";
  Row row =
      row_of("ip and nft", place,
             {.enter = [=] { write("elements", elements_script(*tenant, "add")); },
              .connect =
                  [=](const Inside& inside) {
                    write("outside", outside_script(*tenant, inside));
                    write("inside", inside_script(*tenant));
                    time_program({"sh", "-ec",
                                  fmt::format("cd {}; nft -f elements; ip -batch outside; "
                                              "{}nsenter --net=/proc/{}/ns/net ip -batch inside",
                                              folder.native(), forwarding, inside.pid())});
                  },
              .after = [] {},
              .leave = [=] { tenant->leave(); }},
             nullptr);
  row.optional = true;
  return row;
}

const char* name_of(Mode mode) { return mode == Mode::kBridge ? "bridge" : "routed"; }

Row other_row(const char* name, std::vector<double> times) {
  return {.name = name, .run = {}, .microseconds = std::move(times)};
}

void add_bar(Section& section, std::string name, double measured, double allowed) {
  section.bars.push_back(
      {.name = std::move(name), .measured = measured, .allowed = allowed, .unit = "times"});
}

/// With so many others alive. Returns the library's median.
double measure_beside(const Place& place, Mode mode, std::size_t others, int rounds,
                      Section& section) {
  Rest library;
  Rest floor;
  std::vector<Row> rows = {floor_row("floor: set-up", place, mode, &floor),
                           library_row("library: set-up", place, mode, &library)};
  if (others == 1) rows.push_back(programs_row(place, mode));
  measure(rows, rounds);
  const double ratio = rows[1].median() / rows[0].median();
  const double median = rows[1].median();
  rows.push_back(other_row("library: what can wait", std::move(library.afters)));
  rows.push_back(other_row("floor: end", std::move(floor.ends)));
  rows.push_back(other_row("library: end", std::move(library.ends)));
  section.grids.push_back(grid_of(fmt::format("A sandbox's network, {}, beside {} other{}",
                                              name_of(mode), others, others == 1 ? "" : "s"),
                                  rows, 0));
  if (others == 1) {
    add_bar(section, fmt::format("a sandbox's network, {}, to the floor", name_of(mode)), ratio,
            kFloorBar);
  }
  return median;
}

void measure_shape(Mode mode, const Scale& scale, Section& section) {
  const Place place;
  Tenants others(place, mode);
  double first = 0;
  double last = 0;
  Tenants::Growth growth;
  const auto most = static_cast<std::size_t>(scale.alive);
  for (const std::size_t count : {std::size_t{1}, std::max(most / 10, std::size_t{2}), most}) {
    growth = others.grow(count);
    last = measure_beside(place, mode, count, scale.rounds, section);
    if (first == 0) first = last;
  }
  section.grids.back().notes = {fmt::format(
      "Of the kernel's memory each takes {:.0f} KiB for an empty network namespace, and "
      "{:.0f} KiB for its place.",
      growth.namespaces, growth.places)};
  add_bar(
      section,
      fmt::format("a sandbox's network, {}, beside {} others, to beside one", name_of(mode), most),
      last / first, kGrowthBar);
}

/// Each sandbox that is held alive takes a few descriptors.
void allow_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 16384);
  limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Section measure_network(const Scale& scale) {
  allow_descriptors();
  Section section;
  for (const Mode mode : {Mode::kRouted, Mode::kBridge}) measure_shape(mode, scale, section);
  return section;
}

}  // namespace sbx::bench
