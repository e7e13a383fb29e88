// SPDX-License-Identifier: Apache-2.0
#include "sbx/ksm.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <charconv>
#include <exception>
#include <string_view>
#include <utility>

#include "kernel/memory_map.hpp"
#include "kernel/number_file.hpp"
#include "sys/error.hpp"
#include "sys/proc_file.hpp"
#include "sys/raw.hpp"

namespace sbx::ksm {

using detail::check;
using detail::read_file;
using detail::read_number;
using detail::write_file;

namespace {

// Younger than some headers.
constexpr int kSetMemoryMerge = 67;
constexpr int kGetMemoryMerge = 68;

constexpr const char kMergeAttempt[] = "cannot let the kernel merge the memory of this process";

// 0, or the error of a mapping that cannot be merged while others can: it went away since it was
// listed, or is of a kind that the kernel leaves out.
int merge_range(const detail::MemoryRange& range) {
  const auto start = static_cast<long>(range.begin);
  const auto size = static_cast<long>(range.end - range.begin);
  const long result = raw::call(__NR_madvise, start, size, MADV_MERGEABLE);
  if (result != -EINVAL && result != -ENOMEM) check(result, kMergeAttempt);
  return static_cast<int>(-result);
}

void merge_mappings() {
  bool merged = false;
  int refusal = EINVAL;
  for (const auto& range : detail::mergeable_ranges(read_file("/proc/self/maps"))) {
    const int error = merge_range(range);
    if (error == 0) merged = true;
    if (error != 0) refusal = error;
  }
  if (!merged) throw SystemError(refusal, kMergeAttempt);
}

// The number after `key` and a space at the start of a line; 0 without such a line.
std::int64_t number_of(std::string_view text, std::string_view key) {
  std::int64_t number = 0;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    if (line.starts_with(key) && line.substr(key.size()).starts_with(' '))
      std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), number);
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
  }
  return number;
}

// As echo(1) writes it.
std::string line_of(std::uint64_t number) { return std::to_string(number) + '\n'; }

struct Wanted {
  const char* file;
  std::optional<std::uint64_t> value;
};

// `run` comes last, and so is put back first: ksmd never scans at a rate that nobody asked for. The
// kernel also changes merge_across_nodes only while nothing is merged.
std::vector<Wanted> wanted_by(const Settings& settings) {
  return {{"merge_across_nodes", settings.merge_across_nodes},
          {"pages_to_scan", settings.pages_to_scan},
          {"sleep_millisecs", settings.sleep_milliseconds},
          {"run", settings.run}};
}

// What refuses has nobody to be reported to: another error is under way, or a destructor runs.
void restore_quietly(Control& control) noexcept {
  try {
    control.restore();
  } catch (const std::exception&) {
  }
}

}  // namespace

bool whole_process_supported() { return raw::prctl(kGetMemoryMerge) >= 0; }

Method merge_process() {
  const long result = raw::prctl(kSetMemoryMerge, 1);
  if (result != -EINVAL) {
    check(result, kMergeAttempt);
    return Method::kWholeProcess;
  }
  merge_mappings();
  return Method::kMappings;
}

ProcessStatistics statistics_of(int pid, const std::filesystem::path& proc) {
  const std::string text = read_file(proc / (pid == 0 ? "self" : std::to_string(pid)) / "ksm_stat");
  return {.rmap_items = number_of(text, "ksm_rmap_items"),
          .zero_pages = number_of(text, "ksm_zero_pages"),
          .merging_pages = number_of(text, "ksm_merging_pages"),
          .profit_bytes = number_of(text, "ksm_process_profit")};
}

Statistics statistics(const std::filesystem::path& directory) {
  return {.pages_shared = read_number(directory / "pages_shared"),
          .pages_sharing = read_number(directory / "pages_sharing"),
          .pages_unshared = read_number(directory / "pages_unshared"),
          .pages_volatile = read_number(directory / "pages_volatile"),
          .full_scans = read_number(directory / "full_scans")};
}

Control::Control(const Settings& settings, std::filesystem::path directory)
    : directory_(std::move(directory)) {
  const auto wanted = wanted_by(settings);
  saved_.reserve(wanted.size());
  try {
    for (const auto& [file, value] : wanted) {
      if (!value) continue;
      const auto path = directory_ / file;
      Saved old{file, line_of(read_number(path))};
      write_file(path, line_of(*value));
      saved_.push_back(std::move(old));
    }
  } catch (...) {
    restore_quietly(*this);
    throw;
  }
}

Control::Control(Control&& other) noexcept
    : directory_(std::move(other.directory_)), saved_(std::exchange(other.saved_, {})) {}

Control& Control::operator=(Control&& other) noexcept {
  if (this == &other) return *this;
  restore_quietly(*this);
  directory_ = std::move(other.directory_);
  saved_ = std::exchange(other.saved_, {});
  return *this;
}

Control::~Control() { restore_quietly(*this); }

void Control::restore() {
  // All are tried; those that refuse stay, to be tried again.
  std::exception_ptr first_refusal;
  for (auto i = saved_.end(); i != saved_.begin();) {
    --i;
    try {
      write_file(directory_ / i->file, i->value);
      i = saved_.erase(i);
    } catch (const SystemError&) {
      if (!first_refusal) first_refusal = std::current_exception();
    }
  }
  if (first_refusal) std::rethrow_exception(first_refusal);
}

}  // namespace sbx::ksm
