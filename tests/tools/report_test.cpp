// SPDX-License-Identifier: Apache-2.0
//
// --report: one JSON object, however the run ended.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "support/command.hpp"
#include "support/temp_dir.hpp"

using nlohmann::json;
using sbx::test::Ended;
using sbx::test::sbx_run;
using sbx::test::sbx_run_start;
using sbx::test::Start;
using sbx::test::TempDir;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The report of a run with `arguments`; null when it is no JSON object on one line.
json report_of(std::vector<std::string> arguments) {
  const TempDir dir;
  const std::filesystem::path file = dir.path() / "report.json";
  arguments.insert(arguments.begin(), {"--report", file});
  sbx_run(std::move(arguments));
  const std::string text = text_of(file);
  if (text.find('\n') != text.size() - 1) return nullptr;
  return json::parse(text, nullptr, false);
}

json exit_of(std::vector<std::string> arguments) {
  return report_of(std::move(arguments)).at("exit");
}

json exit_object(int status, const json& signal, const char* reason, const char* message = "") {
  return {{"status", status}, {"signal", signal}, {"reason", reason}, {"message", message}};
}

}  // namespace

TEST_CASE("the report has every field, and null where nothing was measured") {
  const json report = report_of({"--name", "reported", "--run-dir", TempDir().path(), "true"});

  CHECK(report.at("name") == "reported");
  CHECK(report.at("exit") == exit_object(0, nullptr, "exited"));
  CHECK(report.at("wall_us").is_number_unsigned());
  CHECK(report.at("cpu_user_us").is_number_unsigned());
  CHECK(report.at("cpu_system_us").is_number_unsigned());
  CHECK(report.at("memory_peak_bytes").is_null());
  CHECK(report.at("pids_peak").is_null());
  CHECK(report.at("oom_kills").is_null());
  CHECK(report.at("io").at("read_bytes").is_number_unsigned());
  CHECK(report.at("io").at("write_bytes").is_number_unsigned());
  for (const char* field : {"rx_bytes", "tx_bytes", "rx_packets", "tx_packets"}) {
    CHECK(report.at("network").at(field).is_null());
  }
}

TEST_CASE("the times and sizes of a report are those of the run") {
  const json report =
      report_of({"--", "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 0.1"});

  CHECK(report.at("wall_us") > 100'000);
  CHECK(report.at("cpu_user_us") > 10'000);
  CHECK(report.at("cpu_user_us") < report.at("wall_us"));
  CHECK(report.at("rss_max_bytes") > 500'000);
}

TEST_CASE("the report tells an own end") {
  CHECK(exit_of({"--", "sh", "-c", "exit 3"}) == exit_object(3, nullptr, "exited"));
  CHECK(exit_of({"--no-init", "--", "sh", "-c", "exit 3"}) == exit_object(3, nullptr, "exited"));
}

TEST_CASE("the report tells the signal") {
  CHECK(exit_of({"--", "sh", "-c", "kill -TERM $$"}) ==
        exit_object(128 + SIGTERM, SIGTERM, "signal"));
}

TEST_CASE("the report tells a timeout") {
  CHECK(exit_of({"--timeout", "100ms", "sleep", "60"}) == exit_object(124, SIGKILL, "timeout"));
  CHECK(exit_of({"--no-init", "--timeout", "100ms", "sleep", "60"}) ==
        exit_object(124, SIGKILL, "timeout"));
}

TEST_CASE("the report tells that the processor time was used up") {
  CHECK(exit_of({"--cpu-time", "100ms", "--", "sh", "-c", "while :; do :; done"}) ==
        exit_object(128 + SIGXCPU, SIGXCPU, "cpu-time"));
}

TEST_CASE("the report tells that the sandbox could not be made, in standard error's words") {
  CHECK(exit_of({"--rootfs", "/no/such/root", "true"}) ==
        exit_object(125, nullptr, "setup",
                    "cannot use the root '/no/such/root': No such file or directory"));
  CHECK(exit_of({"no-such-program"}) ==
        exit_object(127, nullptr, "setup",
                    "cannot execute 'no-such-program': No such file or directory"));
  CHECK(exit_of({"/etc/passwd"}) ==
        exit_object(126, nullptr, "setup", "cannot execute '/etc/passwd': Permission denied"));
}

TEST_CASE("the report tells of wrong usage, too") {
  CHECK(exit_of({"--net", "x", "true"}) ==
        exit_object(125, nullptr, "setup", "--net: 'x' is not none, host, user, routed or bridge"));
  CHECK(exit_of({"--bad", "true"}) == exit_object(125, nullptr, "setup", "unknown option '--bad'"));
  CHECK(exit_of({}) == exit_object(125, nullptr, "setup", "no command given"));
  CHECK(exit_of({"--timeout"}) ==
        exit_object(125, nullptr, "setup", "--timeout needs a value: TIME"));
}

TEST_CASE("the report tells of what only --verbose finds") {
  CHECK(exit_of({"--verbose", "--bind", "/no/such/place", "true"}) ==
        exit_object(125, nullptr, "setup",
                    "cannot bind '/no/such/place': No such file or directory"));
}

TEST_CASE("a report that is asked for behind what is wrong is written all the same") {
  const Ended ended = sbx_run({"--bad", "--report", "fd:1", "true"});

  CHECK(ended.status == 125);
  CHECK(json::parse(ended.out).at("exit").at("message") == "unknown option '--bad'");
}

TEST_CASE("words that are not UTF-8 still make a report") {
  CHECK(exit_of({"/no/\xff"}).at("reason") == "setup");
}

TEST_CASE("a report can go to an open descriptor, which the command does not get") {
  const TempDir dir;
  const std::string file = dir.path() / "report";
  Start start = sbx_run_start({"--report", "fd:5", "--", "sh", "-c", "echo x >&5"});
  start.before_exec = [&file] {
    ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 5);
  };

  const Ended ended = sbx::test::run(start);

  CHECK(ended.status == 2);
  CHECK(json::parse(text_of(file)).at("exit").at("status") == 2);
}

TEST_CASE("a report to standard output comes after what the command wrote there") {
  const Ended ended = sbx_run({"--report", "fd:1", "echo", "first"});

  REQUIRE(ended.out.starts_with("first\n{"));
  CHECK(json::parse(ended.out.substr(6)).at("exit").at("status") == 0);
}

TEST_CASE("an old report is replaced as a whole") {
  const TempDir dir;
  const std::string file = dir.path() / "report";
  std::ofstream(file) << std::string(10'000, 'x');

  sbx_run({"--report", file, "true"});

  CHECK(json::parse(text_of(file)).at("exit").at("status") == 0);
}

TEST_CASE("a report is not written through a symbolic link, and the command does not run") {
  const TempDir dir;
  const std::string link = dir.path() / "link";
  std::filesystem::create_symlink(dir.path() / "target", link);

  const Ended ended = sbx_run({"--report", link, "echo", "ran"});

  CHECK(ended.status == 125);
  CHECK(ended.out.empty());
  CHECK(ended.err ==
        "sbx-run: cannot write the report to '" + link + "': Too many levels of symbolic links\n");
  CHECK_FALSE(std::filesystem::exists(dir.path() / "target"));
}

TEST_CASE("a report to where nothing can be written is refused before the command runs") {
  const auto refused = [](const std::string& where, const std::string& reason) {
    const Ended ended = sbx_run({"--report", where, "echo", "ran"});
    return ended.status == 125 && ended.out.empty() &&
           ended.err == "sbx-run: cannot write the report to '" + where + "': " + reason + "\n";
  };

  CHECK(refused("/no/such/place", "No such file or directory"));
  CHECK(refused("/usr", "Is a directory"));
  CHECK(refused("fd:77", "Bad file descriptor"));
  CHECK(refused("fd:0", "Bad file descriptor; it is open for reading alone"));
  CHECK(refused("fd:", "that is not fd:N"));
  CHECK(refused("fd:1x", "that is not fd:N"));
  CHECK(refused("fd:-1", "that is not fd:N"));
  CHECK(refused("fd:99999999999", "that is not fd:N"));
}

TEST_CASE("a report that cannot be written in the end is an error, said once") {
  const Ended ended = sbx_run({"--report", "/dev/full", "true"});

  CHECK(ended.status == 125);
  CHECK(ended.err == "sbx-run: cannot write the report to '/dev/full': No space left on device\n");
}

TEST_CASE("a report is readable by whom the caller's umask lets") {
  const TempDir dir;
  const std::string file = dir.path() / "report";
  Start start = sbx_run_start({"--report", file, "true"});
  start.before_exec = [] { ::umask(077); };

  sbx::test::run(start);

  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}
