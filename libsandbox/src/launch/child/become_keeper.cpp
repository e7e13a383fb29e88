// SPDX-License-Identifier: Apache-2.0
#include "launch/child/descriptors.hpp"
#include "launch/child/keeper.hpp"
#include "launch/child/program.hpp"
#include "sys/raw.hpp"

namespace sbx::child {
namespace {

long execute_keeper(KeeperStart& start) noexcept {
  // Who ignores SIGCHLD would hand that on, and SIGPIPE is one that pasta takes for a failure.
  long result = reset_signal_actions();
  if (result >= 0) result = raw::setsid();
  if (result >= 0) result = raw::openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  if (result < 0) return result;
  const int null = static_cast<int>(result);
  int numbers[KeeperFd::kProgram + 1] = {null, null};
  numbers[KeeperFd::kErrors] = start.errors;
  numbers[KeeperFd::kMaker] = start.maker;
  numbers[KeeperFd::kSandbox] = start.sandbox;
  numbers[KeeperFd::kProgram] = start.program;
  int image = start.image;
  result = number_descriptors(numbers, KeeperFd::kProgram + 1, &image);
  if (result < 0) return result;
  char name[] = "sbx-keeper";
  char* argv[] = {name, nullptr};
  char* environment[] = {nullptr};
  return raw::execveat(image, "", argv, environment, AT_EMPTY_PATH);
}

}  // namespace

void become_keeper(void* start) noexcept {
  auto& shared = *static_cast<KeeperStart*>(start);
  shared.failure = failed(Stage::kKeeper, execute_keeper(shared));
  raw::exit_group(125);
}

}  // namespace sbx::child
