// SPDX-License-Identifier: Apache-2.0
//
// The socket by which programs enter: who may speak to an init, who may pass for one, and words
// that are none.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "launch/child/protocol.hpp"
#include "security/attack.hpp"
#include "support/require.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using sbx::Sandbox;
using sbx::Spec;
using sbx::UniqueFd;
using sbx::child::Event;
using sbx::child::EventKind;
using sbx::child::Request;
using sbx::child::RequestKind;
using sbx::test::as_ordinary_user;
using sbx::test::shell;
using sbx::test::TempDir;

namespace fs = std::filesystem;

namespace {

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

UniqueFd connect_to(const fs::path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0);
  return socket;
}

void send(int socket, const void* data, std::size_t size, const std::vector<int>& fds = {}) {
  iovec part{.iov_base = const_cast<void*>(data), .iov_len = size};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  ::sendmsg(socket, &header, MSG_NOSIGNAL);
}

/// What comes back within five seconds: "answer", "closed" or "silence".
std::string answer_on(int socket) {
  pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, 5000) != 1) return "silence";
  char answer[512];
  return ::recv(socket, answer, sizeof answer, 0) > 0 ? "answer" : "closed";
}

std::string answer_to(const fs::path& path, const void* data, std::size_t size,
                      const std::vector<int>& fds = {}) {
  const UniqueFd socket = connect_to(path);
  send(socket.get(), data, size, fds);
  return answer_on(socket.get());
}

/// A folder that only the caller may enter, with a sandbox that listens in it.
struct Listening {
  explicit Listening(Spec spec = {}) : sandbox(start(std::move(spec))) {}

  [[nodiscard]] fs::path path() const { return dir.path() / "init.sock"; }
  Sandbox start(Spec spec) const {
    ::chmod(dir.path().c_str(), 0700);
    spec.control_socket = path();
    return Sandbox::start(spec);
  }

  TempDir dir;
  Sandbox sandbox;
};

/// Listens as an init would, and answers every request with `event` and the descriptor `fd`.
class FakeInit {
 public:
  FakeInit(const fs::path& path, std::vector<char> event, int fd)
      : listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)),
        event_(std::move(event)),
        fd_(fd) {
    const sockaddr_un address = address_of(path);
    ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 1);
    thread_ = std::thread([this] { serve(); });
  }
  FakeInit(const FakeInit&) = delete;
  FakeInit& operator=(const FakeInit&) = delete;
  FakeInit(FakeInit&&) = delete;
  FakeInit& operator=(FakeInit&&) = delete;
  ~FakeInit() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

 private:
  void serve() {
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char request[64];
    if (::recv(client.get(), request, sizeof request, 0) <= 0) return;
    send(client.get(), event_.data(), event_.size(), {fd_});
    while (::recv(client.get(), request, sizeof request, 0) > 0) {
    }
  }

  UniqueFd listener_;
  std::vector<char> event_;
  int fd_;
  std::thread thread_;
};

std::vector<char> bytes_of(const Event& event) {
  const auto* first = reinterpret_cast<const char*>(&event);
  return {first, first + sizeof event};
}

/// The policy of a real sandbox, as its init gives it.
UniqueFd policy_of(const fs::path& path) {
  const UniqueFd socket = connect_to(path);
  const Request hello{};
  send(socket.get(), &hello, sizeof hello);
  Event event{};
  iovec part{.iov_base = &event, .iov_len = sizeof event};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  int fd = -1;
  if (rights != nullptr) std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return UniqueFd(fd);
}

/// What Sandbox::open says of a fake init that answers with `event` and the policy of a real one.
std::string open_fake(const std::vector<char>& event) {
  const Listening real;
  const UniqueFd policy = policy_of(real.path());
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0700);
  const FakeInit fake(dir.path() / "init.sock", event, policy.get());
  try {
    Sandbox::open(dir.path() / "init.sock");
  } catch (const sbx::SystemError& error) {
    return error.what();
  }
  return "entered";
}

}  // namespace

// orders from inside, should a bind ever show the socket
TEST_CASE("process 1 takes no orders from inside its sandbox") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0700);
  Spec spec;
  spec.control_socket = dir.path() / "init.sock";
  spec.mounts = {sbx::Bind{.source = dir.path(), .target = "/control"}};
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  spec = sbx::test::with_attack(spec, "say-hello", "/control/init.sock");
  spec.command.fds = {{ends[1], 1}};
  const Sandbox sandbox = Sandbox::start(spec);
  ::close(ends[1]);

  std::string said;
  char buffer[64];
  for (ssize_t size = 0; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(size));
  ::close(ends[0]);

  CHECK(said == "connected\ndone\n");
}

// lengths and numbers that a stranger made up
TEST_CASE("an init hangs up on a message that is too short, too long or not its own") {
  const Listening init;
  const Request hello{};
  Request foreign{};
  foreign.magic ^= 1;
  std::vector<char> longer(sizeof hello + 8);
  std::memcpy(longer.data(), &hello, sizeof hello);

  CHECK(answer_to(init.path(), &hello, sizeof hello - 8) == "closed");
  CHECK(answer_to(init.path(), longer.data(), longer.size()) == "closed");
  CHECK(answer_to(init.path(), &foreign, sizeof foreign) == "closed");
  CHECK(answer_to(init.path(), &hello, sizeof hello) == "answer");
}

// descriptors that nobody asked for
TEST_CASE("an init keeps no descriptor that it was not asked to keep") {
  const Listening init;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const std::vector<int> many(250, ends[1]);
  const Request hello{};
  Request no_request{};
  no_request.kind = static_cast<RequestKind>(77);
  Request spawn{};
  spawn.kind = RequestKind::kSpawn;  // neither of the first two is what it should be
  Request policy{};
  policy.kind = RequestKind::kPolicy;

  const UniqueFd socket = connect_to(init.path());
  for (int i = 0; i < 20; ++i) {
    for (const Request& request : {hello, no_request, policy})
      send(socket.get(), &request, sizeof request, many);
    CHECK(answer_on(socket.get()) == "answer");
  }
  send(socket.get(), &spawn, sizeof spawn, many);
  ::close(ends[1]);
  pollfd hung_up{.fd = ends[0], .events = POLLIN, .revents = 0};

  CHECK(::poll(&hung_up, 1, 5000) == 1);
  CHECK(answer_to(init.path(), &hello, sizeof hello) == "answer");
  ::close(ends[0]);
}

// who connects and says nothing
TEST_CASE("an init that many connect to goes on with those who have entered") {
  Listening init;
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 40; ++i) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = address_of(init.path());
    ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    idle.push_back(std::move(socket));
  }

  sbx::Process process = init.sandbox.exec({.argv = {"true"}});

  CHECK(process.wait_for(5s).has_value());
}

// CVE-2022-31214: a process outside that passes itself off as an init
TEST_CASE("an answer that is an init's, from a process that is in no sandbox, is not believed") {
  const std::string said =
      as_ordinary_user([] { return open_fake(bytes_of(Event{.kind = EventKind::kHello})); });

  CHECK(said.find("its init is not in a sandbox") != std::string::npos);
}

// lengths and numbers that an init made up
TEST_CASE("an answer that is too short, too long or not an init's is refused") {
  const Event hello{.kind = EventKind::kHello};
  Event foreign = hello;
  foreign.magic ^= 1;
  std::vector<char> shorter = bytes_of(hello);
  shorter.resize(shorter.size() - 8);

  CHECK(open_fake(shorter).find("Bad message") != std::string::npos);
  CHECK(open_fake(bytes_of(foreign)).find("Bad message") != std::string::npos);
  CHECK(open_fake(bytes_of(Event{.kind = EventKind::kEnded})).find("does not answer") !=
        std::string::npos);
}
