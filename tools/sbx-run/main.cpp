// SPDX-License-Identifier: Apache-2.0
//
// sbx-run: one command in a sandbox.
#include <fmt/format.h>
#include <signal.h>
#include <sys/auxv.h>

#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/names.hpp"
#include "common/report_json.hpp"
#include "common/stdio.hpp"
#include "sbx-run/background.hpp"
#include "sbx-run/job.hpp"
#include "sbx-run/options.hpp"
#include "sbx-run/supervise.hpp"
#include "sbx/sandbox.hpp"
#include "sys/error.hpp"

namespace sbx_run {
namespace {

constexpr int kTimeout = 124;
constexpr int kSetupFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

sbx::Report setup_report(int status, const std::string& message) {
  sbx::Report report;
  report.reason = sbx::ExitReason::kSetup;
  report.status = status;
  report.message = message;
  return report;
}

/// The report, to where it was asked for: opened beforehand, written at the end.
class ReportFile {
 public:
  ReportFile(const std::string& where, const std::string& name) : where_(where), name_(name) {
    if (!where.empty()) file_ = tools::open_report(where);
  }

  void write(const sbx::Report& report) const {
    if (!file_) return;
    tools::write_all(file_.get(), tools::report_json(name_, report),
                     fmt::format("the report to '{}'", sbx::detail::printable(where_)));
  }

 private:
  const std::string& where_;
  const std::string& name_;
  sbx::UniqueFd file_;
};

/// One run, from understood options to its report.
class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        report_file_(options.report, options.name.empty() ? options.enter : options.name) {
    if (options.detach) background_.emplace();
  }

  /// The exit status. Throws when the report cannot be written.
  int run() {
    const sbx::Report report = report_of_run();
    report_file_.write(report);
    return report.status;
  }

 private:
  sbx::Report report_of_run() {
    try {
      sbx::Report report = options_.enter.empty() ? run_alone() : enter();
      if (report.reason == sbx::ExitReason::kTimeout) report.status = kTimeout;
      return report;
    } catch (const sbx::ExecError& error) {
      return failure(error.code().value() == ENOENT ? kNotFound : kNotExecutable, error.what());
    } catch (const std::exception& error) {
      return failure(kSetupFailed, error.what());
    }
  }

  sbx::Report run_alone() {
    sbx::Spec spec = options_.spec;
    std::optional<tools::Claim> claim;
    if (!options_.name.empty()) {
      claim.emplace(tools::run_directory(options_.run_dir), options_.name);
      spec.control_socket = claim->socket();
    }
    if (options_.detach) tools::detach_standard_descriptors();
    const HeldSignals signals;
    sbx::Sandbox sandbox = sbx::Sandbox::start(spec);
    for (const std::string& warning : sandbox.network_warnings()) {
      fmt::print(stderr, "sbx-run: warning: {}\n", warning);
    }
    return stay_with(SandboxJob(sandbox), signals);
  }

  sbx::Report enter() {
    const auto socket = tools::socket_of(tools::run_directory(options_.run_dir), options_.enter);
    sbx::Sandbox sandbox = sbx::Sandbox::open(socket);
    if (options_.detach) tools::detach_standard_descriptors();
    sbx::Command command = options_.spec.command;
    command.user = options_.spec.user;
    const HeldSignals signals;
    return stay_with(EnteredJob(sandbox.exec(command)), signals);
  }

  sbx::Report stay_with(Job&& job, const HeldSignals& signals) {
    if (background_) background_->succeed();
    return supervise(job, signals, {.timeout = options_.timeout, .background = options_.detach});
  }

  sbx::Report failure(int status, const std::string& message) {
    const std::string line = fmt::format("sbx-run: {}\n", message);
    if (background_) {
      background_->fail(status, line);
    } else {
      std::fputs(line.c_str(), stderr);
    }
    return setup_report(status, message);
  }

  const Options& options_;
  ReportFile report_file_;
  std::optional<Background> background_;
};

/// What would be done, one line each.
std::string description(const Options& options) {
  std::string text = sbx::describe(options.spec);
  if (!options.name.empty()) text += fmt::format("name: {}\n", options.name);
  if (options.timeout) text += fmt::format("timeout: {} ms\n", options.timeout->count());
  return text;
}

int complain(const std::string& message) {
  fmt::print(stderr, "sbx-run: {}\n", message);
  return kSetupFailed;
}

/// Says what is wrong with the command line, in the report too where one was asked for.
int refuse(const Arguments& arguments, const std::string& message) {
  complain(message);
  try {
    const ReportFile file(arguments.report, arguments.name);
    file.write(setup_report(kSetupFailed, message));
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kSetupFailed;
}

int run(int argc, char** argv) {
  Parsed parsed;
  Options options;
  try {
    if (::getauxval(AT_SECURE) != 0) {
      throw std::runtime_error("set-user-id, set-group-id or with capabilities it is not safe");
    }
    tools::fill_standard_descriptors();
    // The kernel forgets how children end whose parent ignores this.
    ::signal(SIGCHLD, SIG_DFL);
    parsed = parse(argc, argv);
    if (parsed.exit_status) return *parsed.exit_status;
    if (!parsed.problem.empty()) throw std::invalid_argument(parsed.problem);
    options = interpret(parsed.arguments);
    if (options.dry_run || options.verbose) {
      std::fputs(description(options).c_str(), options.dry_run ? stdout : stderr);
    }
  } catch (const std::exception& error) {
    return refuse(parsed.arguments, error.what());
  }
  if (options.dry_run) return 0;
  try {
    return Run(options).run();
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}

}  // namespace
}  // namespace sbx_run

int main(int argc, char** argv) { return sbx_run::run(argc, argv); }
