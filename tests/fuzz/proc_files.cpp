// SPDX-License-Identifier: Apache-2.0
//
// The texts of /proc and /sys: what is read of them is compared with a second, slower reader.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fuzz/check.hpp"
#include "kernel/memory_map.hpp"
#include "kernel/number_file.hpp"
#include "launch/child/cpu_clock.hpp"
#include "sbx/error.hpp"
#include "sbx/ksm.hpp"
#include "sys/proc_file.hpp"

namespace {

using sbx::detail::MemoryRange;
using sbx::fuzz::require;

/// A folder that stands for /proc.
class Proc {
 public:
  Proc() {
    std::string name = (std::filesystem::temp_directory_path() / "sbx-fuzz-XXXXXX").native();
    require(::mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
    path_ = name;
    std::filesystem::create_directory(path_ / "self");
  }
  Proc(const Proc&) = delete;
  Proc& operator=(const Proc&) = delete;
  Proc(Proc&&) = delete;
  Proc& operator=(Proc&&) = delete;
  ~Proc() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& with_ksm_stat(std::string_view text) const {
    std::ofstream(path_ / "self/ksm_stat", std::ios::binary) << text;
    return path_;
  }

 private:
  std::filesystem::path path_;
};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The number that the hexadecimal `digits` are; none for more than 64 bits.
std::optional<std::uintptr_t> address_of(std::string digits) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > 16) return std::nullopt;
  return digits.empty() ? 0 : std::stoull(digits, nullptr, 16);
}

void read_maps(std::string_view text) {
  std::vector<MemoryRange> expected;
  for (const std::string& line : lines_of(text)) {
    const std::size_t space =
        std::min(line.find_first_not_of("0123456789abcdefABCDEF-"), line.size());
    const std::string place = line.substr(0, space);
    const std::size_t dash = place.find('-');
    if (dash == 0 || dash == place.npos || dash + 1 == place.size()) continue;
    if (place.find('-', dash + 1) != place.npos) continue;
    const std::string mode = line.substr(space);
    if (mode.size() < 5 || mode[0] != ' ' || mode[2] != 'w' || mode[4] != 'p') continue;
    const auto is_named = [&](const char* name) { return line.ends_with(name); };
    if (is_named("[vvar]") || is_named("[vvar_vclock]") || is_named("[vdso]") ||
        is_named("[vsyscall]")) {
      continue;
    }
    const auto begin = address_of(place.substr(0, dash));
    const auto end = address_of(place.substr(dash + 1));
    if (begin && end && *begin < *end) expected.push_back({*begin, *end});
  }
  require(sbx::detail::mergeable_ranges(text) == expected, "a range is what its line says", text);
}

void read_ksm_stat(std::string_view text) {
  static const Proc proc;
  const auto found = sbx::ksm::statistics_of(0, proc.with_ksm_stat(text));
  std::int64_t expected = 0;
  for (const std::string& line : lines_of(text)) {
    long long number = 0;
    int size = 0;
    const char* digits = line.c_str() + std::min(line.size(), sizeof "ksm_merging_pages");
    const bool starts = *digits == '-' || (*digits >= '0' && *digits <= '9');
    if (!line.starts_with("ksm_merging_pages ") || !starts) continue;
    errno = 0;
    if (std::sscanf(digits, "%lld%n", &number, &size) == 1 && errno != ERANGE) expected = number;
  }
  require(found.merging_pages == expected, "a number is what its line says", text);
}

void read_number(std::string_view text) {
  static sbx::fuzz::MemoryFile file;
  const std::string& path = file.fill(text);
  require(sbx::detail::read_file(path) == text, "a file is read as it is");
  const std::string line(text.substr(0, text.find('\n')));
  try {
    const std::uint64_t number = sbx::detail::read_number(path);
    const std::string digits = std::to_string(number);
    const std::size_t zeros = line.size() - std::min(digits.size(), line.size());
    require(line == std::string(zeros, '0') + digits, "a number is what its digits say", text);
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
  }
}

/// The words after the name in /proc/PID/stat; empty for what the kernel does not write.
std::vector<std::string> stat_fields(const std::string& text) {
  std::vector<std::string> fields;
  std::istringstream words(text.substr(text.rfind(')') + 1));
  if (text.find(") ") == text.npos || words.get() != ' ') return {};
  for (std::string word; std::getline(words, word, ' ');) {
    const std::string digits = word.substr(word.starts_with('-') ? 1 : 0);
    const bool is_number = !digits.empty() && digits.size() < 10 &&
                           digits.find_first_not_of("0123456789") == digits.npos;
    const bool is_state = fields.empty() && word.size() == 1 && word[0] >= 'A' && word[0] <= 'Z';
    if (!is_number && !is_state) return {};
    fields.push_back(digits);
  }
  constexpr std::size_t kLeast = 20;
  return fields.size() < kLeast ? std::vector<std::string>{} : fields;
}

void read_stat(std::string_view text) {
  const std::string whole(text.substr(0, text.find('\0')));
  const std::uint64_t found = sbx::child::ticks_in_stat(whole.c_str());
  const std::vector<std::string> fields = stat_fields(whole);
  if (fields.empty()) return;
  std::uint64_t expected = 0;
  for (std::size_t number = 14; number <= 17; ++number) {
    expected += std::stoull(fields[number - 3]);  // the first is field 3
  }
  require(found == expected, "the ticks are those of the fields 14 to 17", whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr void (*kReaders[])(std::string_view) = {read_maps, read_ksm_stat, read_number,
                                                    read_stat};
  kReaders[data[0] % std::size(kReaders)](text);
  return 0;
}
