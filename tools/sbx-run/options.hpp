// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sbx/spec.hpp"

namespace sbx_run {

/// What the command line asks for.
struct Options {
  sbx::Spec spec;  // its command included
  std::optional<std::chrono::milliseconds> timeout;
  std::string name;
  std::string enter;
  std::string report;  // file or "fd:N"; empty: none
  std::string run_dir;
  bool detach = false;
  bool dry_run = false;
  bool verbose = false;
};

/// The command line as it is written, before it is understood.
struct Arguments {
  std::string state_dir;
  std::string log_dir;  // every tool takes it; this one keeps nothing there
  std::string rootfs;
  std::string overlay;              // "true" for the flag alone
  std::vector<std::string> mounts;  // "bind SRC[:DST]" and so on, in the order of the command line
  std::string user;
  std::string hostname;
  std::string workdir;
  std::vector<std::string> environment;
  std::vector<std::string> kept_environment;
  std::string userns;
  std::string memory, swap, cpus, cpu_weight, cpuset, pids;
  std::vector<std::string> io;
  std::vector<std::string> rlimits;
  std::string timeout;
  std::string cpu_time;
  std::string network;
  std::string rate;
  std::vector<std::string> network_rules;  // "--publish 80:80" and so on
  std::vector<std::string> capabilities;   // "+NAME" and "-NAME" in order
  std::string seccomp;
  bool allow_new_privileges = false;
  std::string ksm;
  std::string name;
  std::string enter;
  std::string config;
  std::string report;
  std::string run_dir;
  bool detach = false;
  bool tty = false;
  bool init = true;
  bool dry_run = false;
  bool verbose = false;
  std::vector<std::string> command;
};

/// What parse() found.
struct Parsed {
  Arguments arguments;
  std::optional<int> exit_status;  // --help and --version have been answered
  std::string problem;  // what is wrong with the command line; the arguments are the rest
};

/// Reads the command line.
Parsed parse(int argc, char** argv);

/// Makes sense of it, and reads the files that it names. Throws std::invalid_argument or
/// sbx::SystemError.
Options interpret(const Arguments& arguments);

}  // namespace sbx_run
