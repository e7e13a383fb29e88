// SPDX-License-Identifier: Apache-2.0
//
// One program to run and who it is, laid out flat in one block of memory: the launcher fills it,
// and a child between clone and exec reads it. Between processes it travels in a memfd.
#pragma once

#include <cstddef>
#include <cstdint>

#include "launch/child/failure.hpp"

namespace sbx::child {

/// `count` elements from `offset` bytes after the start of the block on.
struct Table {
  std::uint32_t offset = 0;
  std::uint32_t count = 0;
};

struct Limit {
  std::uint64_t resource = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

/// The head of the block. Texts end with a NUL. A table of texts holds 64-bit offsets, which
/// relocate() turns into pointers, and a zero after the last, as execve(2) wants it.
struct Program {
  static constexpr std::uint32_t kMagic = 0x31786273;  // "sbx1"

  enum Flag : std::uint32_t {
    kTerminal = 1U << 0,
    kNoNewPrivileges = 1U << 1,
    kChangeGroups = 1U << 2,
    kChangeUser = 1U << 3,
    kWorkdirRequired = 1U << 4,  // otherwise the home, and then "/", do as well
    kMergeMemory = 1U << 5,
    kNoRandomization = 1U << 6,
    kSetUmask = 1U << 7,
  };

  std::uint32_t magic = kMagic;
  std::uint32_t size = 0;  // of the block
  std::uint32_t flags = 0;
  std::uint32_t umask = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t capabilities = 0;
  Table argv;         // texts; one unused slot comes before the first, for a script without "#!"
  Table environment;  // texts
  Table candidates;   // texts: paths to execute, in the order of PATH
  Table groups;       // std::uint32_t
  Table limits;       // Limit
  Table guard;        // sock_filter: a filter that stays whatever `filter` is
  Table filter;       // sock_filter
  Table inner_fds;    // std::int32_t: the number that each passed descriptor gets
  std::uint32_t workdir = 0;  // text; 0: none
  std::uint32_t home = 0;     // text; 0: none
  std::uint16_t rows = 0;     // of its terminal
  std::uint16_t columns = 0;
};

/// The part of the block that begins at `offset`.
template <typename T>
T* at(const Program* base, std::uint32_t offset) noexcept {
  const auto start = reinterpret_cast<std::uintptr_t>(base);
  return reinterpret_cast<T*>(start + offset);
}

/// True when no table or text of the block of `size` bytes at `program` reaches out of it.
bool is_whole(const Program* program, std::size_t size) noexcept;

/// Turns the offsets in the tables of texts into pointers. Once only, and on a whole block.
void relocate(Program* program) noexcept;

/// The circumstances in which a child becomes a program.
struct Place {
  int terminal_master = -1;        // of the program's terminal, when it has one
  bool share_session = false;      // the session is there already: only a process group is made
  int caller_fd = -1;              // hangs up when the caller is gone; the program shall end then
  int dumpable = -1;               // the flag to put back when memory is shared with the caller
  const int* entrances = nullptr;  // of the group to enter, in each hierarchy
  std::size_t entrance_count = 0;
  std::uint64_t bounding = ~std::uint64_t{0};  // what the bounding set holds at most
};

/// Moves the calling process into the groups that these files lead into.
Failure enter_groups(const int* entrances, std::size_t count) noexcept;

/// Executes the first of the program's candidates that can be, as execvp(3) does; returns only with
/// what failed.
Failure execute(Program* program) noexcept;

/// Makes the calling process the program; returns only with what failed. `policy` says who it is
/// and what it may do, `program` what it runs; they may be one. `passed` are the descriptors to
/// hand over, one for each of program->inner_fds.
Failure become_program(Program* policy, Program* program, const int* passed,
                       const Place& place) noexcept;

/// Every signal's action as in a new program: nothing is ignored.
long reset_signal_actions() noexcept;

/// Nothing is held back.
long release_signals() noexcept;

/// Drops every capability that is not in `kept` from the bounding set, which holds at most those in
/// `present`.
long limit_bounding_set(std::uint64_t present, std::uint64_t kept) noexcept;

/// The calling process's permitted capabilities; all when they cannot be read.
std::uint64_t permitted_capabilities() noexcept;

/// Leaves exactly `kept` permitted and effective, and ambient too when `ambient`.
long limit_capabilities(std::uint64_t kept, bool ambient) noexcept;

}  // namespace sbx::child
