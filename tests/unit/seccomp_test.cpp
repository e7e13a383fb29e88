// SPDX-License-Identifier: Apache-2.0
#include "sbx/seccomp.hpp"

#include <doctest/doctest.h>
#include <linux/bpf_common.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "sbx/error.hpp"
#include "support/temp_dir.hpp"

using sbx::SeccompFilter;

namespace {

/// What from_file says of a file with `text`, its path replaced by FILE; "" when it takes it.
std::string complaint_about(const std::string& text) {
  const sbx::test::TempDir dir;
  const std::string path = dir.path() / "profile.json";
  std::ofstream(path) << text;
  try {
    SeccompFilter::from_file(path);
    return "";
  } catch (const std::invalid_argument& error) {
    std::string said = error.what();
    const std::size_t at = said.find(path);
    return at == std::string::npos ? said : said.replace(at, path.size(), "FILE");
  }
}

/// A profile with one entry of the list 'syscalls'.
std::string entry(const std::string& text) {
  return R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)" + text + "]}";
}

}  // namespace

TEST_CASE("the built-in profiles fit into one program of the kernel's") {
  CHECK(SeccompFilter::default_profile().size() > 100);
  CHECK(SeccompFilter::default_profile().size() <= BPF_MAXINSNS);
  CHECK(SeccompFilter::strict_profile().size() > 100);
  CHECK(SeccompFilter::strict_profile().size() <= BPF_MAXINSNS);
}

TEST_CASE("the profile 'none' has no instructions") {
  CHECK(SeccompFilter::none().empty());
  CHECK(SeccompFilter::none().size() == 0);
  CHECK(SeccompFilter::none().data() == nullptr);
}

TEST_CASE("a built-in profile is found by its name") {
  CHECK(SeccompFilter::profile("default").data() == SeccompFilter::default_profile().data());
  CHECK(SeccompFilter::profile("strict").data() == SeccompFilter::strict_profile().data());
  CHECK(SeccompFilter::profile("none").empty());
}

TEST_CASE("an unknown profile is refused with the names that exist") {
  CHECK_THROWS_WITH_AS(SeccompFilter::profile("Default"),
                       "unknown seccomp profile 'Default': it is 'default', 'strict' or 'none'",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(SeccompFilter::profile("a\nb"),
                       "unknown seccomp profile 'a\\x0ab': it is 'default', 'strict' or 'none'",
                       std::invalid_argument);
  CHECK_THROWS_AS(SeccompFilter::profile(""), std::invalid_argument);
}

TEST_CASE("copies of a filter from a file share its program") {
  const sbx::test::TempDir dir;
  std::ofstream(dir.path() / "p.json")
      << entry(R"({"names": ["mount"], "action": "SCMP_ACT_KILL"})");

  const SeccompFilter filter = SeccompFilter::from_file(dir.path() / "p.json");
  const SeccompFilter copy = filter;  // NOLINT(performance-unnecessary-copy-initialization): tested

  CHECK(!filter.empty());
  CHECK(copy.data() == filter.data());
  CHECK(copy.size() == filter.size());
}

TEST_CASE("a profile that is not there is reported with its path") {
  CHECK_THROWS_WITH_AS(SeccompFilter::from_file("/nonexistent/p.json"),
                       "cannot read seccomp profile '/nonexistent/p.json': "
                       "No such file or directory",
                       sbx::SystemError);
  CHECK_THROWS_WITH_AS(SeccompFilter::from_file("/"),
                       "cannot read seccomp profile '/': Is a directory", sbx::SystemError);
}

TEST_CASE("a profile without an end is given up at 1 MiB") {
  CHECK_THROWS_WITH_AS(SeccompFilter::from_file("/dev/zero"),
                       "cannot read seccomp profile '/dev/zero': it is larger than 1 MiB",
                       std::invalid_argument);
  CHECK(complaint_about(std::string(1024 * 1024 + 1, ' ')) ==
        "cannot read seccomp profile 'FILE': it is larger than 1 MiB");
}

TEST_CASE("a syntax error is reported with its line and column") {
  CHECK(complaint_about("{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\",\n      x}\n") ==
        "cannot read seccomp profile 'FILE', line 3, column 7: syntax error while parsing object "
        "key - invalid literal; last read: '\"SCMP_ACT_ALLOW\",<U+000A>      x'; expected string "
        "literal");
  CHECK(complaint_about("?") ==
        "cannot read seccomp profile 'FILE', line 1, column 1: syntax error while parsing value - "
        "invalid literal; last read: '?'");
}

TEST_CASE("a profile that ends too early is reported with the place of its end") {
  CHECK(complaint_about("") ==
        "cannot read seccomp profile 'FILE', line 1, column 1: syntax error while parsing value - "
        "unexpected end of input; expected '[', '{', or a literal");
  CHECK(complaint_about("{\n") ==
        "cannot read seccomp profile 'FILE', line 2, column 1: syntax error while parsing object "
        "key - unexpected end of input; expected string literal");
}

TEST_CASE("a profile of brackets alone ends in a message, not in a full stack") {
  CHECK(complaint_about(std::string(1000 * 1000, '['))
            .starts_with("cannot read seccomp profile 'FILE', line 1, column 1000001: "));
  CHECK(complaint_about(std::string(500 * 1000, '[') + std::string(500 * 1000, ']')) ==
        "cannot read seccomp profile 'FILE', at /: not an object");
}

TEST_CASE("a number that no double can hold is refused") {
  CHECK(complaint_about(R"({"defaultAction": 1e999})") ==
        "cannot read seccomp profile 'FILE': number overflow parsing '1e999'");
}

TEST_CASE("a value of the wrong type is reported with its JSON pointer") {
  CHECK(complaint_about("[]") == "cannot read seccomp profile 'FILE', at /: not an object");
  CHECK(complaint_about("{}") == "cannot read seccomp profile 'FILE', at /: no 'defaultAction'");
  CHECK(complaint_about(R"({"defaultAction": 1})") ==
        "cannot read seccomp profile 'FILE', at /defaultAction: not a string");
  CHECK(complaint_about(R"({"defaultAction": "SCMP_ACT_KILL", "syscalls": {}})") ==
        "cannot read seccomp profile 'FILE', at /syscalls: not a list");
  CHECK(complaint_about(entry("7")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0: not an object");
  CHECK(complaint_about(entry(R"({"action": "SCMP_ACT_KILL"})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0: no 'names'");
  CHECK(complaint_about(entry(R"({"names": ["a", 1], "action": "SCMP_ACT_KILL"})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/names/1: not a string");
}

TEST_CASE("an unknown action is reported with its JSON pointer") {
  CHECK(complaint_about(R"({"defaultAction": "allow"})") ==
        "cannot read seccomp profile 'FILE', at /defaultAction: unknown action 'allow'");
  CHECK(complaint_about(entry(R"({"names": ["mount"], "action": "SCMP_ACT_NOTIFY"})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/action: unknown action "
        "'SCMP_ACT_NOTIFY'");
}

TEST_CASE("a number out of range is reported with its JSON pointer") {
  const std::string head = R"({"names": ["mount"], "action": "SCMP_ACT_ERRNO", )";

  CHECK(complaint_about(entry(head + R"("errnoRet": 4096})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/errnoRet: 4096 is more than 4095");
  CHECK(complaint_about(entry(head + R"("errnoRet": -1})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/errnoRet: not a whole number of 64 "
        "bits, zero or more");
  CHECK(complaint_about(entry(head + R"("args": [{"index": 6, "op": "SCMP_CMP_EQ"}]})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/args/0/index: 6 is more than 5");
  CHECK(complaint_about(
            entry(head +
                  R"("args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 18446744073709551616}]})"))
            .ends_with("args/0/value: not a whole number of 64 bits, zero or more"));
}

TEST_CASE("a comparison needs a known operator") {
  const std::string head = R"({"names": ["mount"], "action": "SCMP_ACT_ERRNO", "args": [)";

  CHECK(complaint_about(entry(head + R"({"index": 0}]})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/args/0: no 'op'");
  CHECK(complaint_about(entry(head + R"({"index": 0, "op": "=="}]})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/args/0/op: unknown comparison '=='");
}

TEST_CASE("the least kernel of an entry is a version") {
  CHECK(complaint_about(entry(R"({"names": ["mount"], "action": "SCMP_ACT_ERRNO",
                                  "includes": {"minKernel": "new"}})")) ==
        "cannot read seccomp profile 'FILE', at /syscalls/0/includes/minKernel: not a kernel "
        "version such as 4.8");
}

TEST_CASE("entries that change nothing, unknown names and unknown keys are no error") {
  CHECK(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW"})") == "");
  CHECK(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": null,
                            "archMap": [], "comment": 1})") == "");
  CHECK(complaint_about(
            entry(R"({"names": ["mount"], "action": "SCMP_ACT_ALLOW", "args": null})")) == "");
  CHECK(complaint_about(entry(R"({"names": ["no_such_call"], "action": "SCMP_ACT_KILL"})")) == "");
  CHECK(complaint_about(entry(R"({"name": "mount", "action": "SCMP_ACT_KILL"})")) == "");
}
