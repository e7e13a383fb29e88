// SPDX-License-Identifier: Apache-2.0
//
// What a sandbox's init says, which a tenant may have taken over: events, the reports and errors
// that they become, and the answer to who looks for a running sandbox.
#include <fuzzer/FuzzedDataProvider.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/report_json.hpp"
#include "fuzz/check.hpp"
#include "launch/control.hpp"
#include "launch/failure.hpp"
#include "launch/find.hpp"
#include "launch/outcome.hpp"
#include "sbx/error.hpp"

namespace {

using sbx::child::Event;
using sbx::fuzz::require;
using std::chrono::milliseconds;

/// The number that the next descriptor gets: a higher one than before when one was lost.
int next_fd() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

/// Sends `bytes` with `fd_count` copies of `fd`.
void send(int socket, const std::string& bytes, int fd, std::size_t fd_count) {
  constexpr std::size_t kMost = 4;
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMost * sizeof(int))]{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd_count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    auto* fds = reinterpret_cast<int*>(CMSG_DATA(rights));
    for (std::size_t i = 0; i < fd_count; ++i) fds[i] = fd;
  }
  ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// An event, often a whole one.
std::string event_from(FuzzedDataProvider& input) {
  std::string bytes(sizeof(Event), '\0');
  const bool whole = input.ConsumeProbability<float>() < 0.9F;
  if (!whole) bytes.resize(input.ConsumeIntegralInRange<std::size_t>(1, 2 * sizeof(Event)));
  input.ConsumeData(bytes.data(), bytes.size());
  if (whole) std::memcpy(bytes.data(), &sbx::child::kProtocolMagic, sizeof(std::uint32_t));
  return bytes;
}

// --- events --------------------------------------------------------------------------------------

void require_report(const Event& event) {
  const sbx::Report report = sbx::detail::report_from_event(event);
  require(report.signal >= 0 && report.signal < 127, "a signal has a number");
  require(report.status >= 0 && report.status <= 255, "a status is one that a program has");
  require(report.cpu_user.count() >= 0 && report.cpu_system.count() >= 0, "time is not below 0");
  require(report.rss_max_bytes / 1024 == event.rss_max_kilobytes ||
              report.rss_max_bytes / 1024 == UINT64_MAX / 1024,
          "more memory does not become less");
  require(*report.io_read_bytes / 512 == event.read_blocks ||
              *report.io_read_bytes / 512 == UINT64_MAX / 512,
          "more input does not become less");
  const std::string line = tools::report_json("name", report);
  require(nlohmann::json::accept(line), "a report is JSON", line);
}

void require_error(const Event& event, FuzzedDataProvider& input) {
  const sbx::detail::FailureContext context{.plan = nullptr,
                                            .program = input.ConsumeRandomLengthString(300),
                                            .workdir = input.ConsumeRandomLengthString(300)};
  try {
    sbx::detail::throw_failure(event.failure, context);
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
    require(error.code().value() == event.failure.error, "an error has its number");
  }
}

void hear(FuzzedDataProvider& input) {
  const sbx::detail::SocketPair pair = sbx::detail::make_socket_pair();
  const auto fd_count = input.ConsumeIntegralInRange<std::size_t>(0, 4);
  const std::string bytes = event_from(input);
  send(pair.theirs.get(), bytes, 0, fd_count);
  const int before = next_fd();
  try {
    const auto received = sbx::detail::receive_event(pair.ours.get(), milliseconds(0));
    require(received && bytes.size() == sizeof(Event), "an event is whole, or none");
    require(std::memcmp(&received->event, bytes.data(), sizeof(Event)) == 0,
            "an event is what was said");
    require(!received->fd || (::fcntl(received->fd.get(), F_GETFD) & FD_CLOEXEC) != 0,
            "no program inherits a descriptor that came");
    require_report(received->event);
    require_error(received->event, input);
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
  }
  require(next_fd() == before, "descriptors that nobody asked for are closed");
}

// --- who looks for a sandbox ---------------------------------------------------------------------

/// Listens where an init would, and gives each caller the answer of the moment.
class Listener {
 public:
  Listener() {
    std::string name = (std::filesystem::temp_directory_path() / "sbx-fuzz-XXXXXX").native();
    require(::mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
    folder_ = name;
    socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().native().copy(address.sun_path, sizeof address.sun_path - 1);
    require(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(socket_, 4) == 0,
            "a socket can be bound");
    thread_ = std::thread([this] { serve(); });
    wait_until_answered();
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  Listener(Listener&&) = delete;
  Listener& operator=(Listener&&) = delete;
  ~Listener() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::filesystem::path path() const { return folder_ / "init.sock"; }

  void say(std::string event, std::string_view policy, std::size_t fd_count) {
    const std::lock_guard lock(mutex_);
    event_ = std::move(event);
    policy_.fill(policy);
    fd_count_ = fd_count;
    answered_ = false;
  }

  void wait_until_answered() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return answered_; });
  }

 private:
  void serve() {
    say_answered();  // from here on the thread has no descriptor but those of clients
    for (;;) {
      // accept4(2) takes a number for the descriptor before it waits.
      sbx::detail::wait_readable({socket_}, milliseconds(-1));
      const int client = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      {
        const std::lock_guard lock(mutex_);
        send(client, event_, policy_.fd(), fd_count_);
      }
      ::close(client);
      say_answered();
    }
  }

  void say_answered() {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    changed_.notify_one();
  }

  std::filesystem::path folder_;
  int socket_ = -1;
  sbx::fuzz::MemoryFile policy_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string event_;
  std::size_t fd_count_ = 0;
  bool answered_ = false;
  std::thread thread_;
};

void look_for(FuzzedDataProvider& input) {
  static Listener listener;
  const auto fd_count = input.ConsumeIntegralInRange<std::size_t>(0, 2);
  std::string event = event_from(input);
  if (input.ConsumeBool() && event.size() == sizeof(Event)) {
    const Event hello{};
    std::memcpy(event.data(), &hello, sizeof hello);
  }
  const bool headed = input.ConsumeBool();
  std::string policy = input.ConsumeRemainingBytesAsString();
  if (headed && policy.size() >= sizeof(sbx::child::Program)) {
    const std::uint32_t head[] = {sbx::child::Program::kMagic,
                                  static_cast<std::uint32_t>(policy.size())};
    std::memcpy(policy.data(), head, sizeof head);
  }
  listener.say(std::move(event), policy, fd_count);
  const int before = next_fd();
  try {
    const sbx::detail::Found found = sbx::detail::find_init(listener.path());
    require(found.occupant.groups.size() * sizeof(std::uint32_t) <= policy.size() &&
                found.occupant.home.size() < policy.size(),
            "who lives there is what the policy says");
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
  }
  listener.wait_until_answered();
  require(next_fd() == before, "no descriptor is left of a search");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  FuzzedDataProvider input(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    hear(input);
  } else {
    look_for(input);
  }
  return 0;
}
