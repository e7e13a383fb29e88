// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "host/toml.hpp"

namespace sbx::detail {

/// "FILE, line 3, column 1: ".
std::string place_text(const std::string& file, const toml::source_position& place);

/// One value of a TOML file, read strictly: each reader takes one type and one notation, and
/// refuses all else by std::invalid_argument, with the value's place, its key and what is expected.
/// `expected` completes "must be" and "is not".
class TomlValue {
 public:
  TomlValue(const std::string& file, std::string key, const toml::node& node)
      : file_(file), key_(std::move(key)), node_(node) {}

  /// "PLACE: KEY" and `reason`.
  [[noreturn]] void refuse(const std::string& reason) const;

  /// For a value of a wrong type: "PLACE: KEY must be a string, not an integer".
  [[noreturn]] void refuse_type(std::string_view expected) const;

  /// For one of the right type: "PLACE: KEY: '12X' is not a size".
  [[noreturn]] void refuse_text(const std::string& written, std::string_view expected) const;

  [[nodiscard]] bool is_boolean() const { return node_.is_boolean(); }
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::uint64_t whole_number(std::uint64_t least, std::uint64_t most) const;
  [[nodiscard]] double positive_number() const;

  /// Not empty, without NUL, and no longer than a path may be.
  [[nodiscard]] std::string text(std::string_view expected = "a string") const;

  /// The value of an environment variable: may be empty, and longer than a path.
  [[nodiscard]] std::string variable() const;

  /// What `parse` makes of text(), an optional of which none means that the text is wrong.
  template <typename Parse>
  [[nodiscard]] auto parsed(Parse parse, std::string_view expected) const {
    const std::string written = text(expected);
    const auto value = parse(written);
    if (!value) refuse_text(written, expected);
    return *value;
  }

  /// Calls body(value) for each element of an array.
  template <typename Body>
  void each_element(Body body) const {
    const toml::array* array = node_.as_array();
    if (array == nullptr) refuse_type("an array");
    for (const toml::node& element : *array) body(TomlValue(file_, key_, element));
  }

  /// Calls body(name, value) for each entry of a table.
  template <typename Body>
  void each_entry(Body body) const {
    const toml::table* table = node_.as_table();
    if (table == nullptr) refuse_type("a table");
    for (const auto& [key, value] : *table) {
      const std::string name(key.str());
      body(name, TomlValue(file_, key_ + "." + name, value));
    }
  }

 private:
  [[nodiscard]] std::string text_up_to(std::size_t longest, std::string_view expected) const;

  const std::string& file_;
  std::string key_;
  const toml::node& node_;
};

}  // namespace sbx::detail
