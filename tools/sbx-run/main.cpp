// SPDX-License-Identifier: Apache-2.0
//
// sbx-run: one command in a sandbox.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <optional>

#include "common/names.hpp"
#include "common/report_json.hpp"
#include "common/stdio.hpp"
#include "sbx-run/job.hpp"
#include "sbx-run/keep.hpp"
#include "sbx-run/options.hpp"
#include "sbx-run/pasta.hpp"
#include "sbx-run/supervise.hpp"
#include "sbx/sandbox.hpp"

namespace sbx_run {
namespace {

constexpr int kTimeout = 124;
constexpr int kSetupFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

int status_of(const sbx::Report& report) {
  return report.reason == sbx::ExitReason::kTimeout ? kTimeout : report.status;
}

sbx::Report setup_report(int status, const std::string& message) {
  sbx::Report report;
  report.reason = sbx::ExitReason::kSetup;
  report.status = status;
  report.message = message;
  return report;
}

void write(const sbx::UniqueFd& to, const std::string& where, const std::string& name,
           const sbx::Report& report) {
  tools::write_all(to.get(), tools::report_json(name, report, std::nullopt), where);
}

/// One run, from understood options to its report.
class Run {
 public:
  explicit Run(const Options& options) : options_(options) {
    if (!options.report.empty()) report_to_ = tools::open_report(options.report);
    if (options.detach) background_.emplace();
  }

  int run() {
    try {
      const sbx::Report report = options_.enter.empty() ? run_alone() : enter();
      write_report(report);
      return status_of(report);
    } catch (const sbx::ExecError& error) {
      return fail(error.code().value() == ENOENT ? kNotFound : kNotExecutable, error.what());
    } catch (const std::exception& error) {
      return fail(kSetupFailed, error.what());
    }
  }

 private:
  sbx::Report run_alone() {
    sbx::Spec spec = options_.spec;
    std::optional<tools::Claim> claim;
    if (!options_.name.empty()) {
      claim.emplace(tools::run_directory(options_.run_dir), options_.name);
      spec.control_socket = claim->socket();
    }
    if (options_.detach) tools::detach_standard_descriptors();
    const bool connect = options_.network == NetworkMode::kUser;
    if (connect) {
      spec.network = sbx::Network::kOwn;
      spec.command.argv.clear();
    }
    sbx::Sandbox sandbox = sbx::Sandbox::start(spec);
    std::optional<Pasta> pasta;
    if (connect) {
      pasta.emplace(sandbox.pid());
      sandbox.exec_main(options_.spec.command);
    }
    if (background_) background_->succeed();
    SandboxJob job(sandbox);
    return supervise(job, {.timeout = options_.timeout, .background = options_.detach});
  }

  sbx::Report enter() {
    const auto socket = tools::socket_of(tools::run_directory(options_.run_dir), options_.enter);
    sbx::Sandbox sandbox = sbx::Sandbox::open(socket);
    if (options_.detach) tools::detach_standard_descriptors();
    sbx::Command command = options_.spec.command;
    command.user = options_.spec.user;
    EnteredJob job(sandbox.exec(command));
    if (background_) background_->succeed();
    return supervise(job, {.timeout = options_.timeout, .background = options_.detach});
  }

  int fail(int status, const std::string& message) {
    const std::string line = fmt::format("sbx-run: {}\n", message);
    if (background_) {
      background_->fail(status, line);
    } else {
      std::fputs(line.c_str(), stderr);
    }
    write_report(setup_report(status, message));
    return status;
  }

  void write_report(const sbx::Report& report) const {
    const std::string& name = options_.name.empty() ? options_.enter : options_.name;
    if (report_to_) write(report_to_, options_.report, name, report);
  }

  const Options& options_;
  sbx::UniqueFd report_to_;
  std::optional<Background> background_;
};

/// Says what is wrong with the command line, in the report too where one was asked for.
int refuse(const Arguments& arguments, const std::string& message) {
  fmt::print(stderr, "sbx-run: {}\n", message);
  if (arguments.report.empty()) return kSetupFailed;
  try {
    write(tools::open_report(arguments.report), arguments.report, arguments.name,
          setup_report(kSetupFailed, message));
  } catch (const std::exception& error) {
    // One line is enough when the report itself is what is wrong.
    if (message != error.what()) fmt::print(stderr, "sbx-run: {}\n", error.what());
  }
  return kSetupFailed;
}

int run(int argc, char** argv) {
  Parsed parsed;
  Options options;
  try {
    tools::fill_standard_descriptors();
    parsed = parse(argc, argv);
    if (parsed.exit_status) return *parsed.exit_status;
    options = interpret(parsed.arguments);
    if (options.dry_run || options.verbose) {
      std::fputs(sbx::describe(options.spec).c_str(), options.dry_run ? stdout : stderr);
    }
    return options.dry_run ? 0 : Run(options).run();
  } catch (const std::exception& error) {
    return refuse(parsed.arguments, error.what());
  }
}

}  // namespace
}  // namespace sbx_run

int main(int argc, char** argv) { return sbx_run::run(argc, argv); }
