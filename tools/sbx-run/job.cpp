// SPDX-License-Identifier: Apache-2.0
#include "sbx-run/job.hpp"

#include <signal.h>

namespace sbx_run {

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

sbx::Report EnteredJob::report() {
  sbx::Report report = process_.wait();
  if (timed_out_) report.reason = sbx::ExitReason::kTimeout;
  return report;
}

}  // namespace sbx_run
