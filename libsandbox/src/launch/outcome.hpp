// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>

#include "launch/child/protocol.hpp"
#include "sbx/report.hpp"

namespace sbx::detail {

/// The report of a program that ended with wait status `status`; see wait(2).
Report report_from_status(int status);

/// That of an init's kEnded.
Report report_from_event(const child::Event& event);

/// Adds what wait4(2) says.
void add_usage(Report& report, const rusage& usage);

}  // namespace sbx::detail
