// SPDX-License-Identifier: Apache-2.0
#include "host/toml_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "host/long_key.hpp"
#include "host/toml_value.hpp"
#include "sbx/fd.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;
constexpr unsigned kMostKeyParts = 16;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// The line, and the column in characters, of the byte at `offset`.
toml::source_position place_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  };
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto characters = std::count_if(before.begin() + static_cast<std::ptrdiff_t>(start),
                                        before.end(), starts_character);
  return {static_cast<toml::source_index>(lines + 1),
          static_cast<toml::source_index>(characters + 1)};
}

/// toml++'s sentence without what each of them starts with.
std::string fault_of(const toml::parse_error& error) {
  constexpr std::string_view kStart = "Error while parsing ";
  std::string text(error.description());
  if (text.starts_with(kStart)) text.erase(0, kStart.size());
  return printable(text);
}

bool breaks_assertion(std::string_view text) {
  try {
    (void)toml::parse(text);
  } catch (const toml::parse_error&) {
  } catch (const TomlAssertion&) {
    return true;
  }
  return false;
}

/// The end of the shortest start of `text` that breaks an assertion, as the whole does.
std::size_t find_broken_assertion(std::string_view text) {
  std::size_t good = 0;
  std::size_t bad = text.size();
  while (good + 1 < bad) {
    const std::size_t middle = good + (bad - good) / 2;
    (breaks_assertion(text.substr(0, middle)) ? bad : good) = middle;
  }
  return good;
}

}  // namespace

std::string read_text_file(const std::string& path, std::string_view what) {
  // Opening a FIFO that nobody writes to must not wait for a writer; reading from a pipe may.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd || ::fcntl(fd.get(), F_SETFL, 0) < 0) throw_errno("cannot read '{}'", printable(path));
  std::string text;
  std::array<char, 16384> part;
  for (;;) {
    const ssize_t size = ::read(fd.get(), part.data(), part.size());
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("cannot read '{}'", printable(path));
    text.append(part.data(), static_cast<std::size_t>(size));
    if (text.size() > kLargestFile) {
      throw SystemError(EFBIG, fmt::format("cannot read '{}'", printable(path)),
                        fmt::format("{} has at most 1 MiB", what));
    }
  }
}

toml::table parse_toml(std::string_view text, const std::string& path) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (const auto dot = find_long_key(text, kMostKeyParts)) {
    throw std::invalid_argument(fmt::format("{}a key has more than {} parts",
                                            place_text(path, place_of(text, *dot)), kMostKeyParts));
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(fmt::format(
        "{}this is not TOML: {}", place_text(path, error.source().begin), fault_of(error)));
  } catch (const TomlAssertion&) {
    throw std::invalid_argument(place_text(path, place_of(text, find_broken_assertion(text))) +
                                "this is not TOML");
  }
}

}  // namespace sbx::detail
