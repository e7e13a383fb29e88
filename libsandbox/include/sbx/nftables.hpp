// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sbx/api.hpp"
#include "sbx/ip_address.hpp"
#include "sbx/namespace.hpp"

// The kernel's packet filter, nf_tables, in the words of nft(8). What is to change is put together
// in a Batch, which the kernel takes as a whole or not at all.
namespace sbx::nft {

/// Where packets come from that a table sees; the values are NFPROTO_*.
enum class Family : std::uint8_t {
  kInet = 1,  ///< IPv4 and IPv6
  kIpv4 = 2,
  kArp = 3,
  kNetdev = 5,
  kBridge = 7,
  kIpv6 = 10,
};

/// A table by its name, in which chains, sets and objects live.
struct Table {
  Family family = Family::kInet;
  std::string name{};
};

enum class ChainType { kFilter, kNat, kRoute };

/// Where on a packet's way a base chain is called.
enum class Hook { kPrerouting, kInput, kForward, kOutput, kPostrouting, kIngress, kEgress };

/// What is done with a packet. Jump and goto name a chain.
struct Verdict {
  enum class Kind { kAccept, kDrop, kContinue, kReturn, kJump, kGoto };

  Kind kind = Kind::kAccept;
  std::string chain{};

  static Verdict accept() { return {}; }
  static Verdict drop() { return {.kind = Kind::kDrop}; }
  static Verdict jump(std::string chain) { return {Kind::kJump, std::move(chain)}; }
  static Verdict go_to(std::string chain) { return {Kind::kGoto, std::move(chain)}; }

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

/// What ties a chain to the kernel. Lower priorities come first; those of nft(8): raw -300,
/// dstnat -100, filter 0, srcnat 100; in a bridge filter is -200.
struct BaseChain {
  ChainType type = ChainType::kFilter;
  Hook hook = Hook::kForward;
  int priority = 0;
  bool drops = false;    ///< what no rule has decided; else it is accepted
  std::string device{};  ///< for kIngress and kEgress

  friend bool operator==(const BaseChain&, const BaseChain&) = default;
};

struct Chain {
  std::string name{};
  std::optional<BaseChain> base{};  ///< empty: only jumped to
};

/// The kinds of values that sets hold; in brackets their name in nft(8) and their size.
enum class Type {
  kIpv4,           ///< (ipv4_addr, 4)
  kIpv6,           ///< (ipv6_addr, 16)
  kMac,            ///< (ether_addr, 6)
  kProtocol,       ///< of the transport layer, IPPROTO_* (inet_proto, 1)
  kPort,           ///< (inet_service, 2)
  kMark,           ///< (mark, 4)
  kInterface,      ///< by its number (iface_index, 4)
  kInterfaceName,  ///< (ifname, 16)
  kDirection,      ///< of a connection: 0 original, 1 reply (ct_dir, 1)
};

/// A value, or several one after the other (a concatenation, "." in nft(8)), as the kernel keeps it
/// in a set or compares it with.
class SBX_API Value {
 public:
  Value() = default;
  explicit Value(const IpAddress& address) { add(address); }
  explicit Value(const MacAddress& mac) { add(mac); }

  Value& add(const IpAddress& address);
  Value& add(const MacAddress& mac);
  Value& add_port(std::uint16_t port);
  Value& add_byte(std::uint8_t value);     ///< a protocol, a direction
  Value& add_number(std::uint32_t value);  ///< a mark, an interface: in the machine's byte order
  Value& add_name(std::string_view interface);  ///< with zeroes to 16 bytes

  /// As it is: each part filled up to a multiple of 4 bytes where more than one part is there.
  [[nodiscard]] std::vector<std::uint8_t> bytes() const { return bytes_; }

  /// "10.0.0.5 . 8022" would be nft(8)'s; this is plain hexadecimal, for messages.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Value&, const Value&) = default;

 private:
  Value& add_part(std::span<const std::uint8_t> part);

  std::vector<std::uint8_t> bytes_;
  std::size_t parts_ = 0;
};

/// A set of values, or, with `data` or `verdicts`, a map from them.
struct Set {
  std::string name{};
  std::vector<Type> key{};     ///< more than one: a concatenation
  std::vector<Type> data{};    ///< of a map from values to values
  bool verdicts = false;       ///< a verdict map
  bool intervals = false;      ///< elements are ranges
  bool dynamic = false;        ///< rules add elements
  bool counters = false;       ///< each element counts the packets that it was found for
  std::uint32_t max_size = 0;  ///< 0: no limit
};

struct Counter {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  ///< of the network layer: with the IP header, without Ethernet's

  friend bool operator==(const Counter&, const Counter&) = default;
};

struct Element {
  Value key{};
  /// Of an interval of more than one value, the last that belongs to it. Intervals are in network
  /// order: numbers in the machine's and names of interfaces can only be intervals of one value.
  std::optional<Value> key_end{};
  std::variant<std::monostate, Value, Verdict> data{};
  std::optional<Counter> counter{};  ///< where the set counts: what it starts from, or has counted
};

/// What a rule can look at.
enum class Field {
  kInputName,   ///< meta iifname
  kOutputName,  ///< meta oifname
  kInput,       ///< meta iif
  kOutput,      ///< meta oif
  kFamily,      ///< meta nfproto: 2 or 10
  kProtocol,    ///< meta l4proto
  kMark,        ///< meta mark
  kEtherSource,
  kEtherDestination,
  kEtherType,     ///< in a bridge or netdev table, in network byte order as a port is
  kSource4,       ///< ip saddr
  kDestination4,  ///< ip daddr
  kSource6,
  kDestination6,
  kSourcePort,  ///< th sport, of whatever transport but ICMP
  kDestinationPort,
  kIcmpType,         ///< of ICMP or ICMPv6: kProtocol says which
  kState,            ///< ct state: bits
  kDirection,        ///< ct direction
  kStatus,           ///< ct status: bits, IPS_*
  kDestinationType,  ///< fib daddr type, RTN_*
  kOriginalSource4,  ///< ct original ip saddr: who has begun the connection
  kOriginalSource6,
  kReplySource4,  ///< ct reply ip saddr: who was reached in the end
  kReplySource6,
  kInputGroup,  ///< meta iifgroup: costs a packet less than the name
  kOutputGroup,
};

/// For Field::kState.
inline constexpr std::uint32_t kInvalid = 1;
inline constexpr std::uint32_t kEstablished = 2;
inline constexpr std::uint32_t kRelated = 4;
inline constexpr std::uint32_t kNew = 8;
inline constexpr std::uint32_t kUntracked = 64;

/// For Field::kStatus: the connection's destination was translated, "ct status dnat".
inline constexpr std::uint32_t kDestinationTranslated = 0x20;

/// A rule: what it looks at, from left to right, and what it does when all of that holds. Fields of
/// one family of addresses, and those of the transport layer, hold only for packets that have them;
/// the rule checks that by itself.
class SBX_API Rule {
 public:
  Rule& equals(Field field, const Value& value);
  Rule& differs(Field field, const Value& value);
  Rule& starts_with(Field name, std::string_view prefix);  ///< an interface's name
  Rule& starts_otherwise(Field name, std::string_view prefix);
  Rule& within(Field address, const IpPrefix& block);
  Rule& outside(Field address, const IpPrefix& block);
  Rule& has_any(Field bits, std::uint32_t mask);

  /// The fields, one after the other, are among the elements of `set`; where it counts, it counts.
  Rule& in(std::vector<Field> fields, std::string set);
  Rule& not_in(std::vector<Field> fields, std::string set);

  Rule& counter();                    ///< counts what comes so far
  Rule& counter(std::string object);  ///< by a counter with a name
  Rule& rate_over(std::uint64_t bytes_per_second, std::uint32_t burst_bytes);
  Rule& packets_over(std::uint64_t per_second, std::uint32_t burst);

  /// Holds when more than `most` connections with this value of `fields` are under way; `set` is
  /// dynamic and remembers them. To be asked of packets of kNew: for a moment one that is then
  /// dropped counts with the others.
  Rule& connections_over(std::vector<Field> fields, std::string set, std::uint32_t most);

  Rule& set_mark(std::uint32_t mark);

  // The end of a rule.
  Rule& verdict(Verdict verdict);
  Rule& accept() { return verdict(Verdict::accept()); }
  Rule& drop() { return verdict(Verdict::drop()); }
  Rule& jump(std::string chain) { return verdict(Verdict::jump(std::move(chain))); }
  Rule& go_to(std::string chain) { return verdict(Verdict::go_to(std::move(chain))); }
  Rule& verdict_map(std::vector<Field> fields, std::string map);  ///< continues without an element
  Rule& reject();                                                 ///< tells the sender: ICMP
  Rule& reset();  ///< tells the sender of TCP: as if nobody listened
  Rule& masquerade();
  Rule& source_nat(const IpAddress& address);
  Rule& destination_nat(const IpAddress& address, std::optional<std::uint16_t> port = {});

  /// To what `map` has for the fields: an address, or an address and a port. `family` is that of
  /// the address; continues without an element.
  Rule& destination_nat_map(IpFamily family, std::vector<Field> fields, std::string map,
                            bool with_port);

  /// The parts, for who sends them to the kernel.
  struct Part;
  [[nodiscard]] const std::vector<std::shared_ptr<const Part>>& parts() const { return parts_; }

 private:
  std::vector<std::shared_ptr<const Part>> parts_;
};

/// Changes that the kernel makes together, in this order, or not at all. Nothing happens before
/// Nftables::commit.
class SBX_API Batch {
 public:
  Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch();

  /// Fine when it is there already.
  Batch& add(const Table& table);
  Batch& add(const Table& table, const Chain& chain);
  Batch& add(const Table& table, const Set& set);

  /// Fine when there is one with the same data; EEXIST with another.
  Batch& add(const Table& table, const Set& set, const std::vector<Element>& elements);

  /// At the end of the chain.
  Batch& add(const Table& table, const std::string& chain, const Rule& rule);

  /// A counter with a name, for Rule::counter.
  Batch& add_counter(const Table& table, const std::string& name);

  /// EEXIST when it is there already.
  Batch& create(const Table& table);

  /// ENOENT when it is not there, EBUSY for what is in use.
  Batch& remove(const Table& table);  ///< with all that is in it
  Batch& remove_chain(const Table& table, const std::string& chain);
  Batch& remove_set(const Table& table, const std::string& set);
  Batch& remove(const Table& table, const Set& set, const std::vector<Element>& elements);

  /// Takes the rules out of the chain.
  Batch& flush_chain(const Table& table, const std::string& chain);

  /// Takes the elements out of the set.
  Batch& flush_set(const Table& table, const std::string& set);

  [[nodiscard]] bool empty() const noexcept;

 private:
  friend class Nftables;
  struct Messages;
  std::unique_ptr<Messages> messages_;
};

/// A chain as the kernel has it.
struct FoundChain {
  Table table{};
  Chain chain{};
};

/// A conversation with nf_tables in one network namespace; used by one thread at a time. Needs
/// CAP_NET_ADMIN over the namespace, and libmnl, which is opened when the first is made.
class SBX_API Nftables {
 public:
  /// About the calling thread's namespace.
  Nftables();

  /// About `network`, a namespace of the kind kNet. The caller stays where it is. Needs the right
  /// to enter it: CAP_SYS_ADMIN.
  explicit Nftables(const Namespace& network);

  Nftables(Nftables&&) noexcept;
  Nftables& operator=(Nftables&&) noexcept;
  Nftables(const Nftables&) = delete;
  Nftables& operator=(const Nftables&) = delete;
  ~Nftables();

  /// Throws SystemError, naming the change that the kernel refused and its words for it; nothing
  /// has changed then.
  void commit(const Batch& batch);

  [[nodiscard]] std::vector<Table> tables() const;

  /// Of all tables.
  [[nodiscard]] std::vector<FoundChain> chains() const;

  /// All elements of the set. ENOENT when it is not there.
  [[nodiscard]] std::vector<Element> elements(const Table& table, const Set& set) const;

  /// The element with that key, or none.
  [[nodiscard]] std::optional<Element> element(const Table& table, const Set& set,
                                               const Value& key) const;

  /// What a counter with a name has counted. ENOENT when it is not there.
  [[nodiscard]] Counter counter(const Table& table, const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A table that goes, with all that is in it, when the handle does.
class SBX_API OwnedTable {
 public:
  /// Makes the table. EEXIST when there is one.
  OwnedTable(Nftables& conversation, Table table);
  OwnedTable(OwnedTable&& other) noexcept;
  OwnedTable& operator=(OwnedTable&& other) noexcept;
  OwnedTable(const OwnedTable&) = delete;
  OwnedTable& operator=(const OwnedTable&) = delete;
  ~OwnedTable();

  [[nodiscard]] const Table& table() const noexcept { return table_; }

  /// Leaves the table in place when the handle goes.
  void release() noexcept { conversation_ = nullptr; }

 private:
  Nftables* conversation_ = nullptr;
  Table table_{};
};

}  // namespace sbx::nft
