// SPDX-License-Identifier: Apache-2.0
#include "sbx/ksm.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "sbx/error.hpp"
#include "support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder as /sys/kernel/mm/ksm, with the kernel's defaults.
struct FakeKsm {
  FakeKsm() {
    write(file("run"), "0\n");
    write(file("pages_to_scan"), "100\n");
    write(file("sleep_millisecs"), "20\n");
    write(file("merge_across_nodes"), "1\n");
  }

  [[nodiscard]] fs::path file(const std::string& name) const { return folder.path() / name; }
  [[nodiscard]] std::string value(const std::string& name) const {
    const std::string text = read(file(name));
    return text.substr(0, text.find('\n'));
  }
  [[nodiscard]] std::string values() const {
    return value("run") + " " + value("pages_to_scan") + " " + value("sleep_millisecs") + " " +
           value("merge_across_nodes");
  }

  sbx::test::TempDir folder;
};

/// A folder as /proc, with the statistics of one process.
struct FakeProc {
  explicit FakeProc(const std::string& process, const std::string& text) {
    fs::create_directory(folder.path() / process);
    write(folder.path() / process / "ksm_stat", text);
  }

  sbx::test::TempDir folder;
};

const sbx::ksm::Settings kBusy{
    .run = true, .pages_to_scan = 5000, .sleep_milliseconds = 5, .merge_across_nodes = false};

}  // namespace

TEST_CASE("the merging statistics of a process are read by their names") {
  const FakeProc proc("42",
                      "ksm_rmap_items 4096\nksm_zero_pages 3\nksm_merging_pages 1024\n"
                      "ksm_process_profit 3932160\nksm_merge_any: yes\nksm_mergeable: yes\n");

  const auto statistics = sbx::ksm::statistics_of(42, proc.folder.path());

  CHECK(statistics.rmap_items == 4096);
  CHECK(statistics.zero_pages == 3);
  CHECK(statistics.merging_pages == 1024);
  CHECK(statistics.profit_bytes == 3932160);
}

TEST_CASE("merging may cost a process more than it saves") {
  const FakeProc proc("42", "ksm_process_profit -6400\n");

  CHECK(sbx::ksm::statistics_of(42, proc.folder.path()).profit_bytes == -6400);
}

TEST_CASE("merging statistics that an older kernel does not have are zero") {
  const FakeProc proc("42", "ksm_rmap_items 7\n");

  const auto statistics = sbx::ksm::statistics_of(42, proc.folder.path());

  CHECK(statistics.rmap_items == 7);
  CHECK(statistics.zero_pages == 0);
  CHECK(statistics.merging_pages == 0);
  CHECK(statistics.profit_bytes == 0);
}

TEST_CASE("merging statistics of names that merely begin alike are not mixed up") {
  const FakeProc proc("42", "ksm_rmap_items 7\nksm_rmap_items_9 1\n");

  CHECK(sbx::ksm::statistics_of(42, proc.folder.path()).rmap_items == 7);
}

TEST_CASE("the merging statistics of process 0 are the caller's") {
  const FakeProc proc("self", "ksm_merging_pages 5");

  CHECK(sbx::ksm::statistics_of(0, proc.folder.path()).merging_pages == 5);
}

TEST_CASE("merging statistics of an absent process are an error") {
  const sbx::test::TempDir proc;
  const std::string message =
      "cannot read '" + proc.path().native() + "/42/ksm_stat': No such file or directory";

  CHECK_THROWS_WITH_AS((void)sbx::ksm::statistics_of(42, proc.path()), message.c_str(),
                       sbx::SystemError);
}

TEST_CASE("the machine's merging statistics are read from the files of their names") {
  const FakeKsm ksm;
  write(ksm.file("pages_shared"), "1\n");
  write(ksm.file("pages_sharing"), "2\n");
  write(ksm.file("pages_unshared"), "3\n");
  write(ksm.file("pages_volatile"), "4\n");
  write(ksm.file("full_scans"), "5\n");

  const auto statistics = sbx::ksm::statistics(ksm.folder.path());

  CHECK(statistics.pages_shared == 1);
  CHECK(statistics.pages_sharing == 2);
  CHECK(statistics.pages_unshared == 3);
  CHECK(statistics.pages_volatile == 4);
  CHECK(statistics.full_scans == 5);
}

TEST_CASE("a machine without merging statistics is an error") {
  const FakeKsm ksm;
  const std::string message =
      "cannot read '" + ksm.file("pages_shared").native() + "': No such file or directory";

  CHECK_THROWS_WITH_AS((void)sbx::ksm::statistics(ksm.folder.path()), message.c_str(),
                       sbx::SystemError);
}

TEST_CASE("a merging statistic that is no number is an error") {
  const FakeKsm ksm;
  write(ksm.file("pages_shared"), "many\n");
  const std::string message =
      "cannot read a number from '" + ksm.file("pages_shared").native() + "': Invalid argument";

  CHECK_THROWS_WITH_AS((void)sbx::ksm::statistics(ksm.folder.path()), message.c_str(),
                       sbx::SystemError);
}

TEST_CASE("control of ksmd sets what is asked for") {
  const FakeKsm ksm;

  const sbx::ksm::Control control(kBusy, ksm.folder.path());

  CHECK(ksm.values() == "1 5000 5 0");
}

TEST_CASE("control of ksmd leaves alone what is not asked for") {
  const FakeKsm ksm;

  const sbx::ksm::Control control({.pages_to_scan = 200}, ksm.folder.path());

  CHECK(ksm.values() == "0 200 20 1");
}

TEST_CASE("control of ksmd puts the old values back on destruction") {
  const FakeKsm ksm;

  { const sbx::ksm::Control control(kBusy, ksm.folder.path()); }

  CHECK(ksm.values() == "0 100 20 1");
}

TEST_CASE("control of ksmd puts the old values back on request, and once only") {
  const FakeKsm ksm;
  sbx::ksm::Control control(kBusy, ksm.folder.path());

  control.restore();

  CHECK(ksm.values() == "0 100 20 1");
  write(ksm.file("run"), "2\n");
  control.restore();
  CHECK(ksm.value("run") == "2");
}

TEST_CASE("controls of ksmd inside each other are undone in reverse order") {
  const FakeKsm ksm;

  {
    const sbx::ksm::Control outer({.pages_to_scan = 200}, ksm.folder.path());
    const sbx::ksm::Control inner({.pages_to_scan = 300}, ksm.folder.path());
  }

  CHECK(ksm.value("pages_to_scan") == "100");
}

TEST_CASE("control of ksmd that fails half way leaves everything as it was") {
  const FakeKsm ksm;
  fs::remove(ksm.file("run"));
  const std::string message =
      "cannot read '" + ksm.file("run").native() + "': No such file or directory";

  CHECK_THROWS_WITH_AS(sbx::ksm::Control(kBusy, ksm.folder.path()), message.c_str(),
                       sbx::SystemError);

  CHECK(ksm.values() == " 100 20 1");
}

TEST_CASE("control of ksmd starts the scan when all else is set") {
  const FakeKsm ksm;
  fs::remove(ksm.file("sleep_millisecs"));

  CHECK_THROWS_AS(sbx::ksm::Control(kBusy, ksm.folder.path()), sbx::SystemError);

  CHECK(ksm.value("run") == "0");
}

TEST_CASE("control of ksmd reports what could not be put back, and puts back the rest") {
  const FakeKsm ksm;
  sbx::ksm::Control control(kBusy, ksm.folder.path());
  fs::remove(ksm.file("run"));
  fs::create_directory(ksm.file("run"));
  const std::string message = "cannot write '" + ksm.file("run").native() + "': Is a directory";

  CHECK_THROWS_WITH_AS(control.restore(), message.c_str(), sbx::SystemError);

  CHECK(ksm.value("pages_to_scan") == "100");
  CHECK(ksm.value("sleep_millisecs") == "20");
  CHECK(ksm.value("merge_across_nodes") == "1");
}

TEST_CASE("control of ksmd puts back later what could not be put back at first") {
  const FakeKsm ksm;
  sbx::ksm::Control control(kBusy, ksm.folder.path());
  fs::remove(ksm.file("run"));
  fs::create_directory(ksm.file("run"));
  CHECK_THROWS_AS(control.restore(), sbx::SystemError);
  fs::remove(ksm.file("run"));
  write(ksm.file("run"), "1\n");

  control.restore();

  CHECK(ksm.value("run") == "0");
}

TEST_CASE("control of ksmd is silent when its destructor cannot put back") {
  const FakeKsm ksm;

  {
    const sbx::ksm::Control control(kBusy, ksm.folder.path());
    fs::remove(ksm.file("pages_to_scan"));
    fs::create_directory(ksm.file("pages_to_scan"));
  }

  CHECK(ksm.value("run") == "0");
}

TEST_CASE("control of ksmd that was moved from does nothing") {
  const FakeKsm ksm;
  sbx::ksm::Control first(kBusy, ksm.folder.path());
  const sbx::ksm::Control second(std::move(first));

  CHECK_NOTHROW(first.restore());

  CHECK(ksm.values() == "1 5000 5 0");
}

TEST_CASE("control of ksmd that is given another's puts its own values back first") {
  const FakeKsm ours;
  const FakeKsm theirs;
  sbx::ksm::Control control(kBusy, ours.folder.path());

  control = sbx::ksm::Control(kBusy, theirs.folder.path());

  CHECK(ours.values() == "0 100 20 1");
  CHECK(theirs.values() == "1 5000 5 0");
}

TEST_CASE("control of ksmd survives being moved to itself") {
  const FakeKsm ksm;
  sbx::ksm::Control control(kBusy, ksm.folder.path());
  sbx::ksm::Control& same = control;

  control = std::move(same);

  CHECK(ksm.values() == "1 5000 5 0");
}
