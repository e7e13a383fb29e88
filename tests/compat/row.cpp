// SPDX-License-Identifier: Apache-2.0
#include "compat/row.hpp"

#include <doctest/doctest.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>

#include "support/command.hpp"
#include "support/ordinary_user.hpp"
#include "support/process.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

namespace sbx::compat {
namespace {

using sbx::test::Ended;
using sbx::test::Program;
using sbx::test::Start;
using sbx::test::TempDir;

namespace fs = std::filesystem;

constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Who runs the outside's job when root runs the tests: one without rights, with an account.
constexpr uid_t kNobody = 65534;

std::map<std::string, const Row*>& rows_by_name() {
  static std::map<std::string, const Row*> all;
  return all;
}

bool has_program(const std::string& name) {
  if (name.starts_with('/')) return ::access(name.c_str(), F_OK) == 0;
  std::istringstream places(kPath);
  for (std::string place; std::getline(places, place, ':');) {
    if (::access((place + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::string missing(const Row& row) {
  for (const std::string& name : row.needs) {
    if (!has_program(name)) return name;
  }
  return {};
}

/// Whether sbx-run has more than the caller's own id to give.
bool has_many_ids() {
  if (::geteuid() == 0) return true;
  const passwd* account = ::getpwuid(::geteuid());
  if (account == nullptr || !has_program("newuidmap")) return false;
  std::ifstream ranges("/etc/subuid");
  for (std::string line; std::getline(ranges, line);) {
    if (line.starts_with(account->pw_name + std::string(":"))) return true;
  }
  return false;
}

std::vector<std::string> command_of(const Row& row) {
  if (!row.command.empty()) return row.command;
  return {"sh", "-euc", row.script};
}

/// The caller's own home, which is not shown inside, or else one that is the job's.
Start start_with(std::vector<std::string> argv, const fs::path& home, const fs::path& directory) {
  Start start{.argv = std::move(argv),
              .environment = {std::string("PATH=") + kPath, "HOME=" + home.native(), "LANG=C.UTF-8",
                              "TERM=xterm"}};
  start.directory = directory;
  return start;
}

fs::path own_home() {
  const passwd* account = ::getpwuid(::geteuid());
  return account != nullptr ? account->pw_dir : "/";
}

Start start_inside(const Row& row, const fs::path& work) {
  std::vector<std::string> argv = {sbx::test::tool("sbx-run")};
  argv.insert(argv.end(), row.flags.begin(), row.flags.end());
  if (row.work) argv.insert(argv.end(), {"--bind", work.native()});
  if (row.terminal) argv.emplace_back("--tty");
  argv.emplace_back("--");
  const auto command = command_of(row);
  argv.insert(argv.end(), command.begin(), command.end());
  Start start = start_with(std::move(argv), own_home(), work);
  start.terminal = row.terminal;
  return start;
}

Start start_outside(const Row& row, const fs::path& home) {
  Start start = start_with(command_of(row), home, home);
  start.terminal = row.terminal;
  if (::geteuid() == 0) {
    ::chown(home.c_str(), kNobody, kNobody);
    start.before_exec = [terminal = row.terminal] {
      if (terminal) ::fchown(0, kNobody, kNobody);
      sbx::test::become_user(kNobody);
    };
  }
  return start;
}

/// Kills this process's children. False when there are none.
bool kill_children() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  bool any = false;
  for (pid_t child = 0; children >> child; any = true) ::kill(child, SIGKILL);
  return any;
}

/// Ends what a job outside has left behind: it became this process's, as a subreaper's.
void end_orphans() {
  CHECK(sbx::test::wait_until([] { return !kill_children(); }));
}

/// `text` without the lines in which one of `left_out` stands.
std::string without(const std::string& text, const std::vector<std::string>& left_out) {
  if (left_out.empty()) return text;
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const bool is_left_out = std::any_of(
        left_out.begin(), left_out.end(),
        [&](const std::string& words) { return line.find(words) != std::string::npos; });
    if (!is_left_out) kept += line + "\n";
  }
  return kept;
}

/// So that a megabyte that differs is not printed.
constexpr std::size_t kLegible = 100'000;

void check(const Row& row, const Ended& ended, const char* where) {
  INFO(std::string(where));
  INFO("standard error:\n", ended.err);
  CHECK(ended.status == row.status);
  if (row.says.empty()) return;
  if (row.terminal) {
    INFO(ended.out);
    CHECK(ended.out.ends_with(row.says));
  } else {
    CHECK(ended.out == row.says);
  }
}

void compare(const Row& row, const Ended& inside, const Ended& outside) {
  if (row.terminal) return;  // its echo comes in between as it happens to
  INFO("standard error inside:\n", inside.err);
  INFO("standard error outside:\n", outside.err);
  if (outside.out.size() > kLegible) {
    CHECK((inside.out == outside.out));
    return;
  }
  std::vector<std::string> left_out = row.differs;
  if (::geteuid() != 0) {
    left_out.insert(left_out.end(), row.differs_for_one_id.begin(), row.differs_for_one_id.end());
  }
  CHECK(without(inside.out, left_out) == without(outside.out, left_out));
}

std::string input_of(const Row& row) {
  std::string bytes = row.input;
  std::uint32_t state = 1;
  while (bytes.size() < row.input_bytes) {
    bytes.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  }
  return bytes;
}

void give_input(Program& program, const Row& row) {
  if (!row.cue.empty()) CHECK(program.says(row.cue));
  program.type(input_of(row));
}

void run_against_outside(const Row& row, const Start& start) {
  const TempDir home;
  Program outside(start_outside(row, home.path()));
  Program inside(start);
  give_input(outside, row);
  give_input(inside, row);
  const Ended ended = inside.wait(row.deadline);
  const Ended host = outside.wait(row.deadline);
  end_orphans();

  check(row, ended, "inside");
  check(row, host, "outside");
  compare(row, ended, host);
}

/// The body of every row's test case.
void run_current_row() {
  const Row& row = *rows_by_name().at(doctest::getContextOptions()->currentTest->m_name);
  if (row.caller == Caller::kRoot) SBX_REQUIRE_ROOT();
  if (row.caller == Caller::kOrdinary) SBX_REQUIRE_ORDINARY_USER();
  if (const std::string name = missing(row); !name.empty()) SBX_SKIP("needs " + name);
  if (row.many_ids && !has_many_ids()) SBX_SKIP("needs newuidmap, and a range in /etc/subuid");
  if (row.terminal && ::access("/dev/ptmx", R_OK | W_OK) < 0) SBX_SKIP("needs /dev/ptmx");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const TempDir work;
  const Start start = start_inside(row, work.path());

  if (row.against == Against::kOutside) {
    run_against_outside(row, start);
  } else {
    check(row, sbx::test::run(start, input_of(row), row.deadline), "inside");
  }
}

}  // namespace

// doctest's own macros register a test case by a function of its own; a table has one for all. What
// they expand to is used here.
Theme::Theme(const char* theme, std::span<const Row> rows) {
  doctest::detail::TestSuite suite;
  suite* theme;
  static unsigned line = 0;
  for (const Row& row : rows) {
    rows_by_name()[row.name] = &row;
    doctest::detail::regTest(doctest::detail::TestCase(run_current_row, theme, ++line, suite) *
                             row.name);
  }
}

}  // namespace sbx::compat
