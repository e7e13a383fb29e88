// SPDX-License-Identifier: Apache-2.0
//
// What passes between two network namespaces: over a connection of TCP, or as datagrams.
#pragma once

#include <cstddef>
#include <string>

#include "sbx/fd.hpp"
#include "sbx/namespace.hpp"

namespace sbx::bench {

enum class Direction { kOut, kIn };

/// A connection from one namespace to an address in another.
class Stream {
 public:
  Stream(const Namespace& from, const Namespace& to, const std::string& address);

  /// The microseconds until so many bytes have come over. Both ends stay on one processor: on two
  /// they wait for each other now and then, and what that takes hides what is measured.
  double transfer(std::size_t bytes, Direction direction) const;

  /// The microseconds that so many small questions and answers take, one after the other, on one
  /// processor, too.
  double exchange(int times) const;

 private:
  UniqueFd near_;
  UniqueFd far_;
};

/// Datagrams from one namespace to an address in another, which never answers: each is the first of
/// its connection, and is looked up in all rules.
class Datagrams {
 public:
  Datagrams(const Namespace& from, const Namespace& to, const std::string& address);

  /// The microseconds that so many take to the other end. Throws CannotRun when one is lost.
  double send(int count) const;

 private:
  UniqueFd near_;
  UniqueFd far_;
};

}  // namespace sbx::bench
