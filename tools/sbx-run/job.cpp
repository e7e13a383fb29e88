// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/job.hpp"

#include <errno.h>
#include <signal.h>

#include "sbx/error.hpp"

namespace sbx_run {
namespace {

constexpr std::chrono::milliseconds kPatience{2000};

}  // namespace

Job::Change SandboxJob::change() {
  const Change change = sandbox_.wait_change(std::chrono::milliseconds(0));
  ended_ = change == Change::kEnded;
  return change;
}

sbx::Report SandboxJob::report() {
  return timed_out_ ? sandbox_.wait_or_kill(std::chrono::milliseconds(0)) : sandbox_.wait();
}

void EnteredJob::time_out() {
  timed_out_ = true;
  process_.signal(SIGKILL, sbx::SignalTarget::kProcessGroup);
}

Job::Change EnteredJob::change() {
  try {
    return process_.wait_change(std::chrono::milliseconds(0));
  } catch (const sbx::SystemError& error) {
    if (error.code().value() != ECONNRESET) throw;
    sandbox_gone_ = true;
    return Change::kEnded;
  }
}

sbx::Report EnteredJob::report() {
  sbx::Report report;
  if (sandbox_gone_) {
    // What ends a sandbox ends everything in it.
    report.reason = sbx::ExitReason::kSignal;
    report.signal = SIGKILL;
    report.status = 128 + SIGKILL;
    report.message = "the sandbox ended";
  } else {
    // Not for ever once it was killed: a program that traces it can keep its end from being told.
    const auto limit = timed_out_ ? kPatience : std::chrono::milliseconds(-1);
    report = process_.wait_for(limit).value_or(sbx::Report{});
  }
  if (timed_out_) report.reason = sbx::ExitReason::kTimeout;
  return report;
}

}  // namespace sbx_run
