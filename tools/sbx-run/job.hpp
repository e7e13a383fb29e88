// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "sbx/sandbox.hpp"

namespace sbx_run {

/// The command that sbx-run waits for: that of a sandbox of its own, or one in somebody else's.
class Job {
 public:
  using Change = sbx::Process::Change;

  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  Job(Job&&) = delete;
  Job& operator=(Job&&) = delete;
  virtual ~Job() = default;

  /// Readable when there is something for change(); -1 for none.
  [[nodiscard]] virtual int change_fd() const = 0;
  [[nodiscard]] virtual int end_fd() const = 0;

  /// What has happened since the last time; does not wait.
  virtual Change change() = 0;

  /// True when a stop of the command is told by change().
  [[nodiscard]] virtual bool tells_stops() const = 0;

  virtual void signal(int signal, sbx::SignalTarget target) = 0;

  /// Kills it because its time is up.
  virtual void time_out() = 0;

  /// How it ended; waits.
  virtual sbx::Report report() = 0;

  virtual std::optional<sbx::Terminal> take_terminal() = 0;
};

class SandboxJob final : public Job {
 public:
  explicit SandboxJob(sbx::Sandbox& sandbox) : sandbox_(sandbox) {}

  [[nodiscard]] int change_fd() const override { return ended_ ? -1 : sandbox_.change_fd(); }
  [[nodiscard]] int end_fd() const override { return sandbox_.fd(); }
  Change change() override;
  [[nodiscard]] bool tells_stops() const override { return sandbox_.change_fd() >= 0; }
  void signal(int signal, sbx::SignalTarget target) override { sandbox_.signal(signal, target); }
  void time_out() override { timed_out_ = true; }
  sbx::Report report() override;
  std::optional<sbx::Terminal> take_terminal() override { return sandbox_.take_terminal(); }

 private:
  sbx::Sandbox& sandbox_;
  bool ended_ = false;
  bool timed_out_ = false;
};

class EnteredJob final : public Job {
 public:
  explicit EnteredJob(sbx::Process process) : process_(std::move(process)) {}

  [[nodiscard]] int change_fd() const override { return process_.fd(); }
  [[nodiscard]] int end_fd() const override { return -1; }
  Change change() override;
  [[nodiscard]] bool tells_stops() const override { return true; }
  void signal(int signal, sbx::SignalTarget target) override { process_.signal(signal, target); }
  void time_out() override;
  sbx::Report report() override;
  std::optional<sbx::Terminal> take_terminal() override { return process_.take_terminal(); }

 private:
  sbx::Process process_;
  bool timed_out_ = false;
  bool sandbox_gone_ = false;
};

}  // namespace sbx_run
