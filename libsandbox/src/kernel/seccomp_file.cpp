// SPDX-License-Identifier: Apache-2.0
//
// Reads the JSON format of container engines. What it says of architectures is not taken up: a
// filter here is for the native ABI, and a call through another one ends the process.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf_common.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/seccomp_program.hpp"
#include "sbx/fd.hpp"
#include "sbx/seccomp.hpp"
#include "sys/error.hpp"

namespace sbx {
namespace {

using detail::printable;
using detail::SeccompProfile;
using detail::SeccompRule;
using detail::throw_errno;
using nlohmann::json;

constexpr std::size_t kLargestFile = std::size_t{1024} * 1024;
constexpr std::uint64_t kLargestErrno = 4095;
constexpr std::uint64_t kLastArgument = 5;

// --- a value of the document, and where it stands ----------------------------------------------

/// A JSON value with its JSON pointer, for messages. Absent and null are the same.
class Node {
 public:
  Node(const json& value, const std::string& path) : value_(&value), path_(&path) {}

  [[noreturn]] void fail(std::string_view reason) const {
    throw std::invalid_argument(fmt::format("cannot read seccomp profile '{}', at {}: {}",
                                            printable(*path_),
                                            pointer_.empty() ? "/" : printable(pointer_), reason));
  }

  [[nodiscard]] std::optional<Node> find(const char* key) const;
  [[nodiscard]] Node member(const char* key) const;
  [[nodiscard]] std::vector<Node> items() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::uint64_t number(std::uint64_t largest = UINT64_MAX) const;

  /// The items of the list called `key`, none when it is absent.
  [[nodiscard]] std::vector<Node> items_of(const char* key) const;

  /// The number called `key`, or `otherwise` when it is absent.
  [[nodiscard]] std::uint64_t number_of(const char* key, std::uint64_t otherwise,
                                        std::uint64_t largest = UINT64_MAX) const;

 private:
  Node(const json& value, const std::string& path, std::string pointer)
      : value_(&value), path_(&path), pointer_(std::move(pointer)) {}

  const json* value_;
  const std::string* path_;
  std::string pointer_;
};

std::optional<Node> Node::find(const char* key) const {
  if (!value_->is_object()) fail("not an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return Node(*found, *path_, fmt::format("{}/{}", pointer_, key));
}

Node Node::member(const char* key) const {
  const std::optional<Node> found = find(key);
  if (!found) fail(fmt::format("no '{}'", key));
  return *found;
}

std::vector<Node> Node::items() const {
  if (!value_->is_array()) fail("not a list");
  std::vector<Node> nodes;
  for (const json& item : *value_) {
    nodes.push_back(Node(item, *path_, fmt::format("{}/{}", pointer_, nodes.size())));
  }
  return nodes;
}

std::vector<Node> Node::items_of(const char* key) const {
  const std::optional<Node> list = find(key);
  return list ? list->items() : std::vector<Node>{};
}

std::string Node::text() const {
  if (!value_->is_string()) fail("not a string");
  return value_->get<std::string>();
}

std::uint64_t Node::number(std::uint64_t largest) const {
  if (!value_->is_number_unsigned()) fail("not a whole number of 64 bits, zero or more");
  const auto number = value_->get<std::uint64_t>();
  if (number > largest) fail(fmt::format("{} is more than {}", number, largest));
  return number;
}

std::uint64_t Node::number_of(const char* key, std::uint64_t otherwise,
                              std::uint64_t largest) const {
  const std::optional<Node> found = find(key);
  return found ? found->number(largest) : otherwise;
}

// --- words of the format -----------------------------------------------------------------------

template <typename Value>
using Words = std::initializer_list<std::pair<std::string_view, Value>>;

/// The value that the word in `node` stands for.
template <typename Value>
Value look_up(const Node& node, const char* kind, Words<Value> words) {
  const std::string text = node.text();
  const auto* found = std::find_if(words.begin(), words.end(),
                                   [&](const auto& word) { return word.first == text; });
  if (found == words.end()) node.fail(fmt::format("unknown {} '{}'", kind, printable(text)));
  return found->second;
}

// SCMP_ACT_NOTIFY is not among them: it needs a process outside that answers.
std::uint32_t action_of(const Node& node, std::uint64_t errno_value) {
  const auto code = static_cast<std::uint32_t>(errno_value);
  return look_up<std::uint32_t>(node, "action",
                                {{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
                                 {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(code)},
                                 {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
                                 {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
                                 {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
                                 {"SCMP_ACT_LOG", SCMP_ACT_LOG},
                                 {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(code)},
                                 {"SCMP_ACT_TRAP", SCMP_ACT_TRAP}});
}

scmp_compare comparison_of(const Node& node) {
  return look_up<scmp_compare>(node, "comparison",
                               {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                {"SCMP_CMP_LT", SCMP_CMP_LT},
                                {"SCMP_CMP_LE", SCMP_CMP_LE},
                                {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                {"SCMP_CMP_GE", SCMP_CMP_GE},
                                {"SCMP_CMP_GT", SCMP_CMP_GT},
                                {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}});
}

// --- which entries apply -----------------------------------------------------------------------

#if defined(__x86_64__)
constexpr std::string_view kArchitecture = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
#endif

bool names_this_architecture(const std::vector<Node>& names) {
  return std::any_of(names.begin(), names.end(),
                     [](const Node& name) { return name.text() == kArchitecture; });
}

std::pair<int, int> version_of(const std::string& text) {
  std::pair<int, int> version{-1, -1};
  if (std::sscanf(text.c_str(), "%9d.%9d", &version.first, &version.second) != 2) return {-1, -1};
  return version;
}

bool kernel_is_at_least(const Node& least) {
  const std::pair<int, int> wanted = version_of(least.text());
  if (wanted.first < 0) least.fail("not a kernel version such as 4.8");
  utsname system{};
  ::uname(&system);
  return version_of(system.release) >= wanted;
}

/// The program has no capability as far as the file is concerned: an entry that needs one does not
/// apply, and one that is left out for those who hold it does.
bool applies(const Node& entry) {
  if (const auto includes = entry.find("includes")) {
    const std::vector<Node> architectures = includes->items_of("arches");
    if (!architectures.empty() && !names_this_architecture(architectures)) return false;
    if (!includes->items_of("caps").empty()) return false;
    const auto least = includes->find("minKernel");
    if (least && !kernel_is_at_least(*least)) return false;
  }
  if (const auto excludes = entry.find("excludes")) {
    if (names_this_architecture(excludes->items_of("arches"))) return false;
    const auto least = excludes->find("minKernel");
    if (least && kernel_is_at_least(*least)) return false;
  }
  return true;
}

// --- entries -----------------------------------------------------------------------------------

scmp_arg_cmp condition_of(const Node& node) {
  return {.arg = static_cast<unsigned>(node.member("index").number(kLastArgument)),
          .op = comparison_of(node.member("op")),
          .datum_a = node.number_of("value", 0),
          .datum_b = node.number_of("valueTwo", 0)};
}

/// The conditions of an entry: each inner list is one rule. Engines read a list that compares one
/// argument twice as "any of", every other one as "all of".
std::vector<std::vector<scmp_arg_cmp>> conditions_of(const Node& entry) {
  std::vector<scmp_arg_cmp> all;
  std::bitset<kLastArgument + 1> seen;
  bool repeated = false;
  for (const Node& node : entry.items_of("args")) {
    all.push_back(condition_of(node));
    repeated = repeated || seen[all.back().arg];
    seen.set(all.back().arg);
  }
  if (!repeated) return {all};

  std::vector<std::vector<scmp_arg_cmp>> any;
  any.reserve(all.size());
  for (const scmp_arg_cmp& condition : all) any.push_back({condition});
  return any;
}

std::vector<std::string> names_of(const Node& entry) {
  if (const auto name = entry.find("name")) return {name->text()};
  std::vector<std::string> names;
  for (const Node& name : entry.member("names").items()) names.push_back(name.text());
  return names;
}

void read_entry(const Node& entry, std::vector<SeccompRule>& rules) {
  const std::vector<std::string> names = names_of(entry);
  const std::uint32_t action =
      action_of(entry.member("action"), entry.number_of("errnoRet", EPERM, kLargestErrno));
  const auto alternatives = conditions_of(entry);
  if (!applies(entry)) return;
  for (const std::string& name : names) {
    for (const auto& conditions : alternatives) rules.push_back({name, action, conditions});
  }
}

SeccompProfile read_profile(const Node& document) {
  SeccompProfile profile;
  profile.default_action = action_of(document.member("defaultAction"),
                                     document.number_of("defaultErrnoRet", EPERM, kLargestErrno));
  for (const Node& entry : document.items_of("syscalls")) read_entry(entry, profile.rules);
  return profile;
}

// --- the file ----------------------------------------------------------------------------------

std::string read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_errno("cannot read seccomp profile '{}'", printable(path));

  std::string text;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("cannot read seccomp profile '{}'", printable(path));
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > kLargestFile) {
      throw std::invalid_argument(fmt::format(
          "cannot read seccomp profile '{}': it is larger than 1 MiB", printable(path)));
    }
  }
}

/// The reason without the parser's own prefix, which `end` ends: "[json...] " or "[json...] parse
/// error at line 1, column 2: ".
std::string reason_of(const json::exception& error, std::string_view end) {
  const std::string text = error.what();
  const std::size_t prefix = text.find(end);
  return prefix == std::string::npos ? text : text.substr(prefix + end.size());
}

[[noreturn]] void throw_syntax_error(const std::string& path, std::string_view text,
                                     const json::parse_error& error) {
  // The parser counts the bytes that it has read, the wrong one included.
  const std::size_t offset = std::min(error.byte == 0 ? 0 : error.byte - 1, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  throw std::invalid_argument(
      fmt::format("cannot read seccomp profile '{}', line {}, column {}: {}", printable(path), line,
                  offset - line_start + 1, printable(reason_of(error, ": "))));
}

json parse(const std::string& path, const std::string& text) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw_syntax_error(path, text, error);
  } catch (const json::exception& error) {  // a number such as 1e999
    throw std::invalid_argument(fmt::format("cannot read seccomp profile '{}': {}", printable(path),
                                            printable(reason_of(error, "] "))));
  }
}

}  // namespace

SeccompFilter SeccompFilter::from_file(const std::filesystem::path& path) {
  const std::string& name = path.native();
  const json document = parse(name, read_file(name));
  std::vector<sock_filter> program = detail::compile(read_profile(Node(document, name)));
  if (program.size() > BPF_MAXINSNS) {
    throw std::invalid_argument(fmt::format(
        "cannot use seccomp profile '{}': it makes {} instructions, the kernel takes {}",
        printable(name), program.size(), BPF_MAXINSNS));
  }

  SeccompFilter filter;
  filter.owned_ = std::make_shared<const std::vector<sock_filter>>(std::move(program));
  filter.data_ = filter.owned_->data();
  filter.size_ = filter.owned_->size();
  return filter;
}

}  // namespace sbx
