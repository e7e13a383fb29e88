// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

#include "kernel/netlink/nft_expression.hpp"
#include "kernel/netlink/nft_field.hpp"
#include "kernel/netlink/nft_rule.hpp"

namespace sbx::detail {
namespace {

using nft::Family;
using nft::Field;
using Part = nft::Rule::Part;

constexpr std::array<std::uint8_t, 1> kIcmp{IPPROTO_ICMP};
constexpr std::array<std::uint8_t, 1> kIcmp6{IPPROTO_ICMPV6};

/// Writes the parts of one rule, and before each what it takes for granted about the packet, unless
/// an earlier part has seen to it.
class RuleWriter {
 public:
  RuleWriter(NftMessage& message, const nft::Table& table) : write_(message), table_(table) {}

  void operator()(const Part::Compare& part) {
    require({part.field});
    write_.load(part.field, kFirstRegister, static_cast<std::uint32_t>(part.bytes.size()));
    write_.compare(part.differs, part.bytes);
    if (part.field == Field::kProtocol && !part.differs) protocol_known_ = true;
  }

  void operator()(const Part::CompareMasked& part) {
    require({part.field});
    write_.load(part.field, kFirstRegister, static_cast<std::uint32_t>(part.bytes.size()));
    write_.mask(part.mask);
    write_.compare(part.differs, part.bytes);
  }

  void operator()(const Part::Lookup& part) {
    load(part.fields);
    write_.lookup(part.set, part.absent, {});
    if (has_protocol(part.fields) && !part.absent) protocol_known_ = true;
  }

  void operator()(const Part::Count&) { write_.count(); }
  void operator()(const Part::CountByName& part) { write_.count_by_name(part.object); }

  void operator()(const Part::Over& part) {
    write_.limit(part.of_bytes, part.per_second, part.burst);
  }

  void operator()(const Part::ConnectionsOver& part) {
    load(part.fields);
    write_.count_connections(part.set, part.most);
  }

  void operator()(const Part::Mark& part) {
    write_.load_value(kFirstRegister, nft::Value().add_number(part.mark).bytes());
    write_.store_mark();
  }

  void operator()(const Part::Decide& part) { write_.decide(part.verdict); }

  void operator()(const Part::DecideByMap& part) {
    load(part.fields);
    write_.lookup(part.map, false, NFT_REG_VERDICT);
  }

  void operator()(const Part::Reject&) {
    // Where packets of both families come, the kernel chooses the one of theirs.
    switch (table_.family) {
      case Family::kIpv4:
        return write_.reject(NFT_REJECT_ICMP_UNREACH, ICMP_PKT_FILTERED);
      case Family::kIpv6:
        return write_.reject(NFT_REJECT_ICMP_UNREACH, ICMPV6_ADM_PROHIBITED);
      default:
        return write_.reject(NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    }
  }

  void operator()(const Part::Reset&) { write_.reject(NFT_REJECT_TCP_RST, 0); }

  void operator()(const Part::Masquerade&) { write_.masquerade(); }

  void operator()(const Part::Translate& part) {
    write_.load_value(kFirstRegister, part.address.bytes());
    const std::uint32_t port = register_after(part.address.family());
    if (part.port) write_.load_value(port, nft::Value().add_port(*part.port).bytes());
    translate(part.source, part.address.family(), part.port.has_value());
  }

  void operator()(const Part::TranslateByMap& part) {
    load(part.fields);
    write_.lookup(part.map, false, kFirstRegister);
    translate(false, part.family, part.with_port);
  }

 private:
  static std::uint32_t register_after(IpFamily address) {
    return kFirstRegister + registers(address == IpFamily::kIpv4 ? 4 : 16);
  }

  static bool has_protocol(const std::vector<Field>& fields) {
    return std::find(fields.begin(), fields.end(), Field::kProtocol) != fields.end();
  }

  void translate(bool source, IpFamily family, bool with_port) {
    std::optional<std::uint32_t> port;
    if (with_port) port = register_after(family);
    write_.translate(source, family, port);
  }

  /// All fields, one after the other as the elements of a set are.
  void load(const std::vector<Field>& fields) {
    require(fields);
    std::uint32_t to = kFirstRegister;
    for (const Field field : fields) {
      const std::uint32_t bytes = shape_of(field).bytes;
      write_.load(field, to, bytes);
      to += registers(bytes);
    }
  }

  /// What is checked for needs the registers: it comes before anything is loaded.
  void require(const std::vector<Field>& fields) {
    const bool protocol_known = protocol_known_ || has_protocol(fields);
    for (const Field field : fields) {
      switch (shape_of(field).needs) {
        case FieldNeeds::kNothing:
          break;
        case FieldNeeds::kIpv4:
          require_family(IpFamily::kIpv4);
          break;
        case FieldNeeds::kIpv6:
          require_family(IpFamily::kIpv6);
          break;
        case FieldNeeds::kPorts:
          if (!protocol_known) require_ports();
          break;
        case FieldNeeds::kIcmp:
          if (!protocol_known) require_icmp();
          break;
      }
    }
  }

  void require_family(IpFamily family) {
    const bool ipv4 = family == IpFamily::kIpv4;
    switch (table_.family) {
      case Family::kArp:
        return refuse(ipv4 ? "IPv4" : "IPv6");
      case Family::kIpv4:
        return ipv4 ? void() : refuse("IPv6");
      case Family::kIpv6:
        return ipv4 ? refuse("IPv4") : void();
      default:
        break;
    }
    if (!families_known_.insert(family).second) return;
    if (table_.family == Family::kInet) {
      write_.load(Field::kFamily, kFirstRegister, 1);
      const std::uint8_t number = ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
      write_.compare(false, {&number, 1});
    } else {
      write_.load_ether_type();
      write_.compare(false, nft::Value().add_port(ipv4 ? ETH_P_IP : ETH_P_IPV6).bytes());
    }
  }

  [[noreturn]] void refuse(const char* what) const {
    throw std::invalid_argument(
        fmt::format("no packet of the table '{}' has an {} address", name_of(table_), what));
  }

  /// ICMP has something else where others have ports, which its sender chooses.
  void require_ports() {
    if (ports_known_) return;
    ports_known_ = true;
    write_.load(Field::kProtocol, kFirstRegister, 1);
    if (table_.family != Family::kIpv6) write_.compare(true, kIcmp);
    if (table_.family != Family::kIpv4) write_.compare(true, kIcmp6);
  }

  void require_icmp() {
    const bool ipv4 = table_.family == Family::kIpv4;
    if (!ipv4 && table_.family != Family::kIpv6) {
      throw std::invalid_argument(
          fmt::format("which ICMP a rule of the table '{}' means must be said before its type",
                      name_of(table_)));
    }
    write_.load(Field::kProtocol, kFirstRegister, 1);
    write_.compare(false, ipv4 ? kIcmp : kIcmp6);
    protocol_known_ = true;
  }

  NftExpressions write_;
  const nft::Table& table_;
  std::set<IpFamily> families_known_;
  bool protocol_known_ = false;
  bool ports_known_ = false;
};

}  // namespace

void write_rule(NftMessage& message, const nft::Table& table, const nft::Rule& rule) {
  const NftMessage::Nest list = message.nest(NFTA_RULE_EXPRESSIONS);
  RuleWriter writer(message, table);
  for (const auto& part : rule.parts()) std::visit(writer, part->what);
}

}  // namespace sbx::detail
