// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace sbx::detail {

/// What a text was parsed to the last time, for those who hardly ever find another one. To be made
/// by new and never ended: somebody may end a sandbox after main().
template <typename Parsed>
class LastParsed {
 public:
  /// `parse` is called when the text is another one; what it throws goes through.
  template <typename Parse>
  Parsed get(std::string text, Parse parse) {
    // Not waited for: another thread's may have been copied by fork(2), without the thread.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return parse(text);
    if (!parsed_ || text_ != text) {
      parsed_.emplace(parse(text));
      text_ = std::move(text);
    }
    return *parsed_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
  std::optional<Parsed> parsed_;
};

}  // namespace sbx::detail
