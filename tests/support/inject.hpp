// SPDX-License-Identifier: Apache-2.0
//
// Runs a program under ptrace(2) and lets one system call of it, or of what it starts, fail.
//
// Processes are named by how they came to be: "caller" is the program itself, "caller/1" its first
// child, "caller/1=init" what that is once it has executed the init of a sandbox, and
// "caller/2=keeper" the keeper of its pasta. What executes any other program is foreign from then
// on: its calls are neither counted nor touched.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "support/command.hpp"

namespace sbx::test {

/// The n-th time (from 1) that one process makes one system call.
struct Call {
  std::string process{};
  long number = -1;
  int occurrence = 0;
};

/// What happens at a call.
enum class Deed {
  kNothing,
  kFail,        ///< it is not made, and reports `error`
  kFailLate,    ///< it is made, and reports `error` nevertheless: close(2) does that
  kKill,        ///< the process is killed before it
  kKillCaller,  ///< "caller" is killed before it
};

struct Fault {
  Call at{};
  Deed deed = Deed::kNothing;
  int error = 0;
};

/// Where the counting of "caller" begins, and, with kMarks, ends (each as often as it is asked
/// for): what a dynamic linker and a test do of themselves is no part of a start.
enum class Counted {
  kFromDevNull,  ///< when it opens /dev/null, which is the first thing that the tools do
  kMarks,        ///< between kBeginMark and kEndMark
};

/// Options of prctl(2) that no kernel knows.
inline constexpr int kBeginMark = 0x73620001;
inline constexpr int kEndMark = 0x73620002;

struct Traced {
  Ended ended{};
  bool reached = false;             ///< the fault's call was made
  bool hung = false;                ///< killed because it had not ended in time
  std::vector<std::string> left{};  ///< processes that outlived it, and were killed
  std::vector<Call> calls{};        ///< without a fault: all that were counted
};

/// Runs `start` to its end, and waits for what it has started. Not from a process with threads.
Traced run_traced(const Start& start, Counted counted, const Fault& fault = {},
                  std::chrono::milliseconds deadline = std::chrono::seconds(20));

/// The name of a system call; its number where the name is not known.
std::string call_name(long number);

/// "caller/1: mount_setattr (3)"
std::string to_string(const Call& call);

}  // namespace sbx::test
