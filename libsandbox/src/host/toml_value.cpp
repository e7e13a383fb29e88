// SPDX-License-Identifier: Apache-2.0
#include "host/toml_value.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "sys/error.hpp"

namespace sbx::detail {
namespace {

constexpr std::size_t kLongestText = 4095;  // PATH_MAX without its NUL
constexpr std::size_t kLongestVariable = 65535;
constexpr double kLargestNumber = 1e6;

const char* type_name(toml::node_type type) {
  using enum toml::node_type;
  switch (type) {
    case table:
      return "a table";
    case array:
      return "an array";
    case string:
      return "a string";
    case integer:
      return "a whole number";
    case floating_point:
      return "a number with a fraction";
    case boolean:
      return "true or false";
    case date:
      return "a date";
    case time:
      return "a time";
    case date_time:
      return "a date and time";
    case none:
      break;
  }
  return "nothing";
}

}  // namespace

std::string place_text(const std::string& file, const toml::source_position& place) {
  return fmt::format("{}, line {}, column {}: ", printable(file), place.line, place.column);
}

void TomlValue::refuse(const std::string& reason) const {
  throw std::invalid_argument(place_text(file_, node_.source().begin) + printable(key_) + reason);
}

void TomlValue::refuse_type(std::string_view expected) const {
  refuse(fmt::format(" must be {}, not {}", expected, type_name(node_.type())));
}

void TomlValue::refuse_text(const std::string& written, std::string_view expected) const {
  refuse(fmt::format(": '{}' is not {}", printable(written), expected));
}

bool TomlValue::boolean() const {
  const toml::value<bool>* value = node_.as_boolean();
  if (value == nullptr) refuse_type("true or false");
  return value->get();
}

std::uint64_t TomlValue::whole_number(std::uint64_t least, std::uint64_t most) const {
  const toml::value<std::int64_t>* value = node_.as_integer();
  if (value == nullptr) refuse_type("a whole number");
  const std::int64_t number = value->get();
  if (number < 0 || static_cast<std::uint64_t>(number) < least ||
      static_cast<std::uint64_t>(number) > most) {
    refuse_text(std::to_string(number), fmt::format("a whole number from {} to {}", least, most));
  }
  return static_cast<std::uint64_t>(number);
}

double TomlValue::positive_number() const {
  if (!node_.is_number()) refuse_type("a number");
  const double number = node_.value<double>().value_or(0);
  // NaN compares false with everything.
  if (number > 0 && number <= kLargestNumber) return number;
  refuse_text(fmt::format("{}", number), "a positive number such as 0.5 or 2");
}

std::string TomlValue::text_up_to(std::size_t longest, std::string_view expected) const {
  const toml::value<std::string>* value = node_.as_string();
  if (value == nullptr) refuse_type(expected);
  const std::string& text = value->get();
  if (text.size() > longest) {
    refuse(fmt::format(" is longer than {} bytes: it has {}", longest, text.size()));
  }
  if (text.find('\0') != std::string::npos) refuse(" holds a NUL");
  return text;
}

std::string TomlValue::text(std::string_view expected) const {
  std::string text = text_up_to(kLongestText, expected);
  if (text.empty()) refuse(" is empty");
  return text;
}

std::string TomlValue::variable() const { return text_up_to(kLongestVariable, "a string"); }

}  // namespace sbx::detail
