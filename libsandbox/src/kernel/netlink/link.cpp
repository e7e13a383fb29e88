// SPDX-License-Identifier: Apache-2.0
#include "sbx/link.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/netlink/libnl.hpp"
#include "kernel/netlink/mnl.hpp"
#include "kernel/netlink/route_answers.hpp"
#include "kernel/netlink/route_messages.hpp"
#include "kernel/netlink/socket.hpp"
#include "sys/error.hpp"

namespace sbx {

using detail::Attempt;
using detail::Existing;
using detail::LinkAnswer;
using detail::mnl;
using detail::NetlinkSocket;
using detail::printable;
using detail::RouteMessages;

namespace {

/// A question, with room for what the ones of this file hold.
struct Question {
  alignas(NLMSG_ALIGNTO) std::array<char, 128> buffer{};
  nlmsghdr* message = mnl().nlmsg_put_header(buffer.data());

  template <typename Header>
  Question(int type, int flags, const Header& header) {
    message->nlmsg_type = static_cast<std::uint16_t>(type);
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    *static_cast<Header*>(mnl().nlmsg_put_extra_header(message, sizeof header)) = header;
  }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  Question(Question&&) = delete;
  Question& operator=(Question&&) = delete;
  ~Question() = default;
};

/// What `read` finds in the list that a message of `type` asks for: it is given each message, and
/// where to add to.
template <typename T, typename Header, typename F>
std::vector<T> list(NetlinkSocket& socket, int type, const Header& header, const Attempt& attempt,
                    const F& read) {
  const Question question(type, NLM_F_DUMP, header);
  std::vector<T> found;
  bool changed = true;
  // A list that changes while it is told lacks something. One that always does is better than none.
  for (int round = 0; changed && round < 10; ++round) {
    changed = false;
    found.clear();
    socket.request(question.message, attempt, [&](const nlmsghdr* message) {
      changed |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      read(message, found);
    });
  }
  return found;
}

LinkAnswer read_link_of(NetlinkSocket& socket, const Question& question, const Attempt& attempt) {
  LinkAnswer answer;
  socket.request(question.message, attempt,
                 [&answer](const nlmsghdr* message) { answer = detail::read_link(message); });
  return answer;
}

LinkAnswer read_link_named(NetlinkSocket& socket, const std::string& name) {
  const auto attempt = [&name] {
    return fmt::format("cannot find the link '{}'", printable(name));
  };
  // The kernel calls it a bad message, where it is a link that cannot be there.
  if (!detail::is_link_name(name)) throw SystemError(ENODEV, attempt());
  const Question question(RTM_GETLINK, 0, ifinfomsg{});
  mnl().attr_put_strz(question.message, IFLA_IFNAME, name.c_str());
  return read_link_of(socket, question, attempt);
}

LinkAnswer read_link_numbered(NetlinkSocket& socket, int index, const std::string& name) {
  ifinfomsg header{};
  header.ifi_index = index;
  return read_link_of(socket, Question(RTM_GETLINK, 0, header), [&name] {
    return fmt::format("cannot read the link '{}'", printable(name));
  });
}

/// Sends what `compose` puts together.
template <typename F>
void send(NetlinkSocket& socket, const F& compose) {
  RouteMessages messages;
  compose(messages);
  messages.send(socket);
}

void set_no_link_local(NetlinkSocket& socket, const detail::LinkName& link) {
  send(socket, [&link](RouteMessages& messages) { messages.set_no_link_local(link); });
}

}  // namespace

Link::Link(std::shared_ptr<NetlinkSocket> socket, std::string name, int index, bool owned) noexcept
    : socket_(std::move(socket)), name_(std::move(name)), index_(index), owned_(owned) {}

Link::Link(Link&& other) noexcept
    : socket_(std::move(other.socket_)),
      name_(std::move(other.name_)),
      index_(other.index_),
      owned_(std::exchange(other.owned_, false)) {}

Link& Link::operator=(Link&& other) noexcept {
  Link taken(std::move(other));
  std::swap(socket_, taken.socket_);
  std::swap(name_, taken.name_);
  std::swap(index_, taken.index_);
  std::swap(owned_, taken.owned_);
  return *this;
}

Link::~Link() {
  if (!owned_) return;
  const int errno_value = errno;
  try {
    remove();
  } catch (...) {
    // It is gone with its peer or with the namespace, or nobody is left to be told.
  }
  errno = errno_value;
}

void Link::set_up() {
  send(*socket_, [this](RouteMessages& messages) { messages.set_up({index_, name_}); });
}

void Link::set_down() {
  send(*socket_, [this](RouteMessages& messages) { messages.set_down({index_, name_}); });
}

bool Link::is_up() const {
  return (read_link_numbered(*socket_, index_, name_).flags & IFF_UP) != 0;
}

void Link::set_mtu(std::uint32_t bytes) {
  send(*socket_, [&](RouteMessages& messages) { messages.set_mtu({index_, name_}, bytes); });
}

std::uint32_t Link::mtu() const { return read_link_numbered(*socket_, index_, name_).mtu; }

MacAddress Link::mac() const {
  const auto mac = read_link_numbered(*socket_, index_, name_).mac;
  if (mac) return *mac;
  throw SystemError(EOPNOTSUPP,
                    fmt::format("cannot read the Ethernet address of '{}'", printable(name_)));
}

void Link::join(const Link& bridge, const BridgePort& port) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.join({index_, name_}, {bridge.index_, bridge.name_}, port);
  });
}

void Link::add_address(const IpPrefix& address) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.add_address({index_, name_}, address, Existing::kRefused);
  });
}

void Link::remove_address(const IpPrefix& address) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.remove_address({index_, name_}, address);
  });
}

std::vector<IpPrefix> Link::addresses() const {
  const auto attempt = [this] {
    return fmt::format("cannot list the addresses of '{}'", printable(name_));
  };
  return list<IpPrefix>(*socket_, RTM_GETADDR, ifaddrmsg{}, attempt,
                        [this](const nlmsghdr* message, auto& found) {
                          const auto answer = detail::read_address(message);
                          if (answer && answer->index == index_) found.push_back(answer->address);
                        });
}

void Link::add_route(const Route& route) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.add_route({index_, name_}, route, Existing::kRefused);
  });
}

void Link::remove_route(const Route& route) {
  send(*socket_, [&](RouteMessages& messages) { messages.remove_route({index_, name_}, route); });
}

std::vector<Route> Link::routes() const {
  const auto attempt = [this] {
    return fmt::format("cannot list the routes through '{}'", printable(name_));
  };
  return list<Route>(*socket_, RTM_GETROUTE, rtmsg{}, attempt,
                     [this](const nlmsghdr* message, auto& found) {
                       for (const auto& way : detail::read_route(message)) {
                         if (way.index == index_) found.push_back(way.route);
                       }
                     });
}

void Link::add_neighbour(const IpAddress& address, const MacAddress& mac) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.add_neighbour({index_, name_}, address, mac, Existing::kRefused);
  });
}

void Link::remove_neighbour(const IpAddress& address) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.remove_neighbour({index_, name_}, address);
  });
}

void Link::limit_rate(std::uint64_t bits_per_second) {
  send(*socket_, [&](RouteMessages& messages) {
    messages.limit_rate({index_, name_}, bits_per_second);
  });
}

LinkStatistics Link::statistics() const {
  return read_link_numbered(*socket_, index_, name_).statistics;
}

void Link::remove() {
  send(*socket_, [this](RouteMessages& messages) { messages.remove({index_, name_}); });
  owned_ = false;
}

Rtnetlink::Rtnetlink() {
  detail::libnl();  // before anything is changed
  socket_ = std::make_shared<NetlinkSocket>(NETLINK_ROUTE);
}

Rtnetlink::Rtnetlink(const Namespace& network) {
  detail::libnl();
  socket_ = std::make_shared<NetlinkSocket>(NETLINK_ROUTE, network);
}

Rtnetlink::Rtnetlink(UniqueFd socket) {
  detail::libnl();
  socket_ = std::make_shared<NetlinkSocket>(std::move(socket));
}

Link Rtnetlink::create(const Veth& veth) {
  send(*socket_, [&veth](RouteMessages& messages) { messages.create(veth); });
  // Until its number is known the name stands for it.
  Link link(socket_, veth.name, 0, true);
  link.index_ = read_link_named(*socket_, veth.name).index;
  if (veth.link_local) return link;

  set_no_link_local(*socket_, {link.index_, link.name_});
  const detail::LinkName peer{.index = 0, .name = veth.peer_name};
  if (veth.peer_namespace == nullptr) {
    set_no_link_local(*socket_, peer);
  } else {
    NetlinkSocket inside(NETLINK_ROUTE, *veth.peer_namespace);
    set_no_link_local(inside, peer);
  }
  return link;
}

Link Rtnetlink::create_bridge(const std::string& name) {
  send(*socket_, [&name](RouteMessages& messages) { messages.create_bridge(name); });
  Link link(socket_, name, 0, true);
  link.index_ = read_link_named(*socket_, name).index;
  return link;
}

Link Rtnetlink::open(const std::string& name) const {
  LinkAnswer answer = read_link_named(*socket_, name);
  return Link(socket_, std::move(answer.name), answer.index, false);
}

std::optional<Link> Rtnetlink::find(const std::string& name) const {
  try {
    return open(name);
  } catch (const SystemError& error) {
    if (error.code().value() != ENODEV) throw;
    return std::nullopt;
  }
}

std::vector<std::string> Rtnetlink::names() const {
  auto links = list<LinkAnswer>(
      *socket_, RTM_GETLINK, ifinfomsg{}, [] { return "cannot list the links"; },
      [](const nlmsghdr* message, auto& found) { found.push_back(detail::read_link(message)); });
  const auto by_index = [](const auto& one, const auto& other) { return one.index < other.index; };
  std::sort(links.begin(), links.end(), by_index);
  std::vector<std::string> names;
  names.reserve(links.size());
  for (auto& link : links) names.push_back(std::move(link.name));
  return names;
}

std::vector<IpPrefix> Rtnetlink::destinations() const {
  return list<IpPrefix>(
      *socket_, RTM_GETROUTE, rtmsg{}, [] { return "cannot list the routes"; },
      [](const nlmsghdr* message, auto& found) {
        for (const auto& way : detail::read_route(message)) {
          const IpPrefix& to = way.route.destination;
          const bool known = std::find(found.begin(), found.end(), to) != found.end();
          if (to.length > 0 && !known) found.push_back(to);
        }
      });
}

}  // namespace sbx
