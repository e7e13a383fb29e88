// SPDX-License-Identifier: Apache-2.0
//
// Messages between launcher and init, when one of the two talks nonsense.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "launch/child/message.hpp"
#include "launch/control.hpp"
#include "sbx/error.hpp"

using namespace std::chrono_literals;
using sbx::child::Message;
using sbx::detail::receive_event;

namespace {

template <typename T>
std::string bytes_of(const T& message) {
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

const std::string kRequest = bytes_of(sbx::child::Request{});
const std::string kEvent = bytes_of(sbx::child::Event{.status = 7});

/// Two ends of a socket, and a pipe whose writing end goes along with messages: what is read from
/// it tells whether a copy of that is open anywhere.
class Line {
 public:
  Line() : pair_(sbx::detail::make_socket_pair()) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    reading_.reset(ends[0]);
    writing_.reset(ends[1]);
  }

  /// Says `text`, with `count` descriptors along, and hangs up.
  void say(std::string text, std::size_t count) {
    const std::vector<int> fds(count, writing_.get());
    iovec part{.iov_base = text.data(), .iov_len = text.size()};
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (count > 0) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(count * sizeof(int));
      std::memcpy(CMSG_DATA(rights), fds.data(), count * sizeof(int));
    }
    REQUIRE(::sendmsg(pair_.theirs.get(), &header, 0) == static_cast<ssize_t>(text.size()));
    pair_.theirs.reset();
    writing_.reset();
  }

  [[nodiscard]] int end() const { return pair_.ours.get(); }

  /// Whether no copy of the descriptor that went along is open any more.
  [[nodiscard]] bool all_closed() const {
    char byte = 0;
    return ::read(reading_.get(), &byte, 1) == 0;
  }

 private:
  sbx::detail::SocketPair pair_;
  sbx::UniqueFd reading_;
  sbx::UniqueFd writing_;
};

/// What the init makes of such a message, and whether every descriptor is closed afterwards.
std::pair<Message::Outcome, bool> init_hears(const std::string& text, std::size_t fds) {
  Line line;
  line.say(text, fds);
  Message::Outcome outcome{};
  {
    Message message;
    outcome = message.receive(line.end());
  }
  return {outcome, line.all_closed()};
}

/// The errno that the launcher throws for such a message, 0 for none, and whether every descriptor
/// is closed afterwards.
std::pair<int, bool> launcher_hears(const std::string& text, std::size_t fds) {
  Line line;
  line.say(text, fds);
  int error = 0;
  try {
    receive_event(line.end(), 0ms);
  } catch (const sbx::SystemError& thrown) {
    error = thrown.code().value();
  }
  return {error, line.all_closed()};
}

}  // namespace

TEST_CASE("the init takes a whole request and closes what it has not asked for") {
  CHECK(init_hears(kRequest, 0).first == Message::Outcome::kRequest);
  CHECK(init_hears(kRequest, 3) == std::pair(Message::Outcome::kRequest, true));
}

TEST_CASE("the init closes what comes with half a request") {
  CHECK(init_hears(kRequest.substr(1), 3) == std::pair(Message::Outcome::kEnd, true));
  CHECK(init_hears(kRequest + "x", 3) == std::pair(Message::Outcome::kEnd, true));
}

TEST_CASE("the init closes what comes with an empty message") {
  CHECK(init_hears("", 3) == std::pair(Message::Outcome::kEnd, true));
}

TEST_CASE("the init answers nothing where nothing was asked") {
  const sbx::detail::SocketPair pair = sbx::detail::make_socket_pair();
  Message message;

  CHECK(message.receive(pair.ours.get()) == Message::Outcome::kNothing);
}

TEST_CASE("the launcher takes an event and the one descriptor that comes along") {
  Line line;
  line.say(kEvent, 1);

  const auto received = receive_event(line.end(), 0ms);

  REQUIRE(received.has_value());
  CHECK(received->event.status == 7);
  CHECK(received->fd);
  CHECK_FALSE(line.all_closed());
}

TEST_CASE("the launcher closes what it has not asked for") {
  CHECK(launcher_hears(kEvent, 2) == std::pair(0, true));
  CHECK(launcher_hears(kEvent.substr(1), 1) == std::pair(EBADMSG, true));
  CHECK(launcher_hears("", 2) == std::pair(ECONNRESET, true));
}

TEST_CASE("the launcher refuses an event that is too long, or has too many descriptors") {
  CHECK(launcher_hears(kEvent + "x", 1) == std::pair(EBADMSG, true));
  CHECK(launcher_hears(kEvent, 3) == std::pair(EBADMSG, true));
}
