// SPDX-License-Identifier: Apache-2.0
#include "launch/network/pasta.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "launch/child/keeper.hpp"
#include "launch/control.hpp"
#include "launch/failure.hpp"
#include "launch/image.hpp"
#include "launch/plan.hpp"
#include "launch/program_block.hpp"
#include "sys/error.hpp"
#include "sys/pipe.hpp"
#include "sys/raw.hpp"
#include "sys/signals_blocked.hpp"

namespace sbx::detail {
namespace {

constexpr const char* kAttempt = "cannot connect the sandbox by pasta";
constexpr std::chrono::seconds kPatience{30};  // pasta takes some hundredths
constexpr std::size_t kStackSize = std::size_t{16} << 10;
constexpr std::uint64_t kClearSignalHandlers = 0x100000000;  // CLONE_CLEAR_SIGHAND

ProgramBlock pasta_for(pid_t pid) {
  ProgramParts parts;
  parts.argv = {"pasta", "--config-net", "--quiet", "--no-map-gw"};
  // No port of the sandbox is opened outside, and none of the caller's loopback inside.
  for (const char* direction : {"-t", "-u", "-T", "-U"}) {
    parts.argv.insert(parts.argv.end(), {direction, "none"});
  }
  if (::geteuid() == 0) parts.argv.insert(parts.argv.end(), {"--runas", "0:0"});
  parts.argv.push_back(std::to_string(pid));
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
    parts.environment.emplace_back(*variable);
  }
  parts.candidates = candidates_for(parts.argv[0], parts.environment);
  // Nobody has named pasta: that of the working directory may be anybody's.
  std::erase_if(parts.candidates, [](const std::string& path) { return path[0] != '/'; });
  return ProgramBlock(parts);
}

/// Starts the keeper, in the manner of vfork(2): on the caller's memory, who waits until it has
/// executed. Its pidfd.
UniqueFd start_keeper(child::KeeperStart& start) {
  const std::unique_ptr<char[]> stack(new char[kStackSize]);
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | kClearSignalHandlers;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.stack = reinterpret_cast<std::uint64_t>(stack.get());
  arguments.stack_size = kStackSize;
  // The keeper keeps the mask: no signal but SIGKILL ends it.
  const SignalsBlocked blocked;
  const long result = raw::clone3(&arguments, sizeof arguments, child::become_keeper, &start);
  if (result < 0) start.failure = child::failed(child::Stage::kKeeper, result);
  return UniqueFd(pidfd);
}

child::KeeperWord hear_keeper(int socket) {
  if (!wait_readable({socket}, kPatience)) {
    throw SystemError(ETIMEDOUT, kAttempt, "it does not say that the network is up");
  }
  child::KeeperWord word;
  ssize_t size = 0;
  do {
    size = ::recv(socket, &word, sizeof word, 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0) throw_errno("{}", kAttempt);
  if (size != sizeof word) {
    throw SystemError(ECONNRESET, kAttempt, "the process that keeps it has ended");
  }
  return word;
}

/// What has been said by now; the keeper still has its end open.
std::string last_line(const UniqueFd& errors) {
  std::array<char, 4096> bytes;
  const ssize_t size = ::read(errors.get(), bytes.data(), bytes.size());
  std::string text(bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (text.ends_with('\n')) text.pop_back();
  const std::size_t start = text.rfind('\n');
  return start == std::string::npos ? text : text.substr(start + 1);
}

}  // namespace

Pasta Pasta::connect(int sandbox, pid_t pid) {
  Pipe errors(O_NONBLOCK);
  SocketPair socket = make_socket_pair();
  const UniqueFd image = open_image(Image::kKeeper);
  const UniqueFd program = pasta_for(pid).to_file();
  child::KeeperStart start{.image = image.get(),
                           .errors = errors.write.get(),
                           .maker = socket.theirs.get(),
                           .sandbox = sandbox,
                           .program = program.get()};
  Pasta pasta;
  pasta.socket_ = std::move(socket.ours);
  pasta.keeper_ = start_keeper(start);
  socket.theirs.reset();
  if (start.failure) throw_failure(start.failure, {});
  const child::KeeperWord word = hear_keeper(pasta.socket_.get());
  if (word.failure) throw_failure(word.failure, {});
  if (word.status != 0) throw SystemError(EIO, kAttempt, printable(last_line(errors.read)));
  return pasta;
}

Pasta& Pasta::operator=(Pasta&& other) noexcept {
  std::swap(keeper_, other.keeper_);
  std::swap(socket_, other.socket_);
  return *this;
}

Pasta::~Pasta() {
  socket_.reset();
  if (keeper_) raw::reap(keeper_.get());
}

void Pasta::release() noexcept {
  const char go_on = 0;
  [[maybe_unused]] const ssize_t sent = ::send(socket_.get(), &go_on, 1, MSG_NOSIGNAL);
  socket_.reset();
  keeper_.reset();
}

void check_pasta(const Network& network) {
  if (network.mode != Network::Mode::kUser) return;
  const Network usual;
  const struct {
    const char* member;
    bool given;
  } members[] = {{"name", !network.name.empty()},
                 {"internet", !network.internet},
                 {"allow", !network.allow.empty()},
                 {"deny", !network.deny.empty()},
                 {"publish", !network.publish.empty()},
                 {"rate_bits_per_second", network.rate_bits_per_second != 0},
                 {"connections_max", network.connections_max != usual.connections_max}};
  for (const auto& [member, given] : members) {
    if (!given) continue;
    throw std::invalid_argument(
        fmt::format("Network::{} needs the mode kRouted or kBridge", member));
  }
}

}  // namespace sbx::detail
