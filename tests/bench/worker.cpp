// SPDX-License-Identifier: Apache-2.0
#include "bench/worker.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "bench/measure.hpp"

namespace sbx::bench {
namespace {

/// A figure, or what was thrown in place of it.
struct Answer {
  double figure = 0;
  char error[240] = {};
};

Answer answer_of(const std::function<double()>& body) {
  Answer answer;
  try {
    answer.figure = body();
  } catch (const std::exception& error) {
    std::strncpy(answer.error, error.what(), sizeof answer.error - 1);
    if (answer.error[0] == '\0') answer.error[0] = '?';
  }
  return answer;
}

/// What the process lives for. Returns, so that what the measurement holds goes in order.
void serve(int socket, const std::function<Worker::Measurement()>& prepare) {
  Worker::Measurement measurement;
  Answer answer = answer_of([&] {
    measurement = prepare();
    return 0.0;
  });
  char request = 0;
  while (::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) > 0 &&
         ::recv(socket, &request, 1, 0) == 1) {
    answer = answer_of(measurement);
  }
}

}  // namespace

Worker::Worker(const std::function<Measurement()>& prepare) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    throw std::runtime_error("cannot make a socket pair");
  }
  socket_.reset(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t owner = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != owner) ::_exit(1);
    socket_.reset();
    serve(theirs.get(), prepare);
    ::_exit(0);
  }
  theirs.reset();
  answer();
}

Worker::~Worker() {
  // Closing would not do: workers that were forked later hold it open, too.
  ::shutdown(socket_.get(), SHUT_RDWR);
  ::waitpid(pid_, nullptr, 0);
}

double Worker::operator()() {
  if (::send(socket_.get(), "?", 1, MSG_NOSIGNAL) < 0) throw CannotRun("the caller has ended");
  return answer();
}

double Worker::answer() {
  Answer answer;
  if (::recv(socket_.get(), &answer, sizeof answer, 0) != sizeof answer) {
    throw CannotRun("the caller has ended");
  }
  if (answer.error[0] != '\0') throw CannotRun(answer.error);
  return answer.figure;
}

}  // namespace sbx::bench
