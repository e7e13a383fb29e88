// SPDX-License-Identifier: Apache-2.0
#include "launch/failure.hpp"

#include <errno.h>

#include "kernel/namespace_cure.hpp"
#include "sbx/rlimit.hpp"
#include "sys/error.hpp"

namespace sbx::detail {
namespace {

using child::Stage;
using child::Step;
using child::StepKind;

struct Sentence {
  Stage stage;
  const char* attempt;
};

constexpr Sentence kSentences[] = {
    {Stage::kCallerGone, "cannot go on without the caller"},
    {Stage::kNamespaces, "cannot create the sandbox's namespaces"},
    {Stage::kPropagation, "cannot make the mounts private"},
    {Stage::kBecomeRoot, "cannot take the ids of the new user namespace"},
    {Stage::kRootMount, "cannot mount the root"},
    {Stage::kOverlay, "cannot mount the overlay"},
    {Stage::kPivot, "cannot change the root to the new one"},
    {Stage::kHostname, "cannot set the hostname"},
    {Stage::kLoopback, "cannot bring the loopback interface 'lo' up"},
    {Stage::kNetwork, "cannot open a netlink socket in the sandbox's network"},
    {Stage::kKeyring, "cannot join a new session keyring"},
    {Stage::kControlGroup, "cannot enter the control group"},
    {Stage::kSession, "cannot start a new session"},
    {Stage::kSignals, "cannot reset the signals"},
    {Stage::kTerminal, "cannot set up the terminal"},
    {Stage::kBounding, "cannot reduce the capability bounding set"},
    {Stage::kGroups, "cannot set the supplementary groups"},
    {Stage::kUser, "cannot change the user"},
    {Stage::kCapabilities, "cannot set the capabilities"},
    {Stage::kNoNewPrivileges, "cannot set no_new_privs"},
    {Stage::kMemoryMerge, "cannot merge the program's memory (PR_SET_MEMORY_MERGE)"},
    {Stage::kPersonality, "cannot turn address randomisation off"},
    {Stage::kWorkdirOutside, "cannot use a working directory outside of the root"},
    {Stage::kDescriptors, "cannot pass the descriptors"},
    {Stage::kSeccomp, "cannot load the seccomp filter"},
    {Stage::kInit, "cannot execute the init"},
    {Stage::kInitSetup, "cannot set up the sandbox's init"},
    {Stage::kRequest, "cannot start a program in the sandbox"},
    {Stage::kKeeper, "cannot start the process that keeps 'pasta'"},
    {Stage::kPasta, "cannot execute 'pasta'"},
};

std::string step_cure(const Step& step, int error) {
  if (error == EROFS || (error == ENOENT && step.kind != StepKind::kSysctl)) {
    return "the root is read-only: make the mount point there, or use an overlay";
  }
  if (step.kind == StepKind::kDirectory && (error == EACCES || error == EOVERFLOW)) {
    return "the root belongs to somebody without a number inside: make the mount point there";
  }
  if (step.kind == StepKind::kFilesystem && error == EPERM && std::string(step.text) == "proc") {
    return "the caller's own /proc is covered in part, as in a container: run outside of it";
  }
  return {};
}

const Step* step_at(const Plan* plan, std::size_t index) {
  if (plan == nullptr) return nullptr;
  const auto& skeleton = plan->skeleton.steps();
  const auto& steps = plan->steps.steps();
  if (index < skeleton.size()) return &skeleton[index];
  index -= skeleton.size();
  return index < steps.size() ? &steps[index] : nullptr;
}

std::string cure_for(Stage stage, int error) {
  if (stage == Stage::kNamespaces && error == ENOSPC) {
    return "a limit on namespaces is reached, one of the sysctls user.max_*_namespaces";
  }
  if (stage == Stage::kNamespaces) return user_namespace_cure(error);
  if (stage == Stage::kRlimit && error == EPERM)
    return "only CAP_SYS_RESOURCE can raise a hard limit";
  if (stage == Stage::kOverlay && error == EINVAL) {
    return "the file system of the upper layer cannot carry one";
  }
  if (stage == Stage::kWorkdirOutside) return "name a directory that the sandbox has";
  if (stage == Stage::kUser && error == EINVAL) return "the id map does not cover it";
  if (stage == Stage::kRequest && error == EAGAIN)
    return "too many programs were asked for at once";
  if (stage == Stage::kPasta && error == ENOENT) return "install the package passt";
  if (stage == Stage::kSeccomp && error == EACCES) return "a filter needs no_new_privs";
  return {};
}

}  // namespace

std::string step_text(const Step& step) {
  const std::string target = "/" + printable(step.target);
  switch (step.kind) {
    case StepKind::kDirectory:
      return fmt::format("make the directory '{}'", target);
    case StepKind::kFile:
      return fmt::format("make the file '{}'", target);
    case StepKind::kSymlink:
      return fmt::format("make the symbolic link '{}' to '{}'", target, printable(step.text));
    case StepKind::kFilesystem:
      return fmt::format("mount {} on '{}'", step.text, target);
    case StepKind::kBind:
      return fmt::format("bind '{}' on '{}'", printable(step.text), target);
    case StepKind::kDevice:
      return fmt::format("show the device '{}'", target);
    case StepKind::kInside:
      return fmt::format("mount '/{}' on '{}'", printable(step.text), target);
    case StepKind::kOverlay:
      return fmt::format("mount an overlay on '{}'", target);
    case StepKind::kMask:
      return fmt::format("mask '{}'", target);
    case StepKind::kReadOnly:
      return fmt::format("make '{}' read-only", target);
    case StepKind::kSysctl:
      return fmt::format("write '{}' to '{}'", step.text, target);
  }
  return "build the root";
}

void throw_failure(const child::Failure& failure, const FailureContext& context) {
  if (failure.stage == Stage::kExec) {
    throw ExecError(failure.error, fmt::format("cannot execute '{}'", printable(context.program)));
  }
  if (failure.stage == Stage::kStep) {
    const Step* step = step_at(context.plan, failure.index);
    if (step != nullptr)
      throw SystemError(failure.error, "cannot " + step_text(*step),
                        step_cure(*step, failure.error));
  }
  if (failure.stage == Stage::kWorkdir) {
    const std::string directory = context.workdir.empty() ? "/" : context.workdir;
    throw SystemError(failure.error, fmt::format("cannot change to the working directory '{}'",
                                                 printable(directory)));
  }
  if (failure.stage == Stage::kRlimit) {
    const Rlimit limit{.resource = static_cast<int>(failure.index)};
    throw SystemError(failure.error,
                      fmt::format("cannot set the resource limit '{}'", limit.name()),
                      cure_for(failure.stage, failure.error));
  }
  for (const Sentence& sentence : kSentences) {
    if (sentence.stage != failure.stage) continue;
    throw SystemError(failure.error, sentence.attempt, cure_for(failure.stage, failure.error));
  }
  throw SystemError(failure.error, "cannot make the sandbox");
}

}  // namespace sbx::detail
