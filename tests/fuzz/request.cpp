// SPDX-License-Identifier: Apache-2.0
//
// A request as the init takes it from its socket, with descriptors along, and the block of a
// program that is one of these.
#include <fuzzer/FuzzedDataProvider.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "fuzz/check.hpp"
#include "launch/child/block.hpp"
#include "launch/child/message.hpp"
#include "launch/control.hpp"
#include "launch/program_block.hpp"

namespace {

using sbx::child::Program;
using sbx::child::Table;
using sbx::fuzz::require;
using Texts = std::vector<std::string>;

constexpr std::size_t kMostSent = 253;  // SCM_MAX_FD of the kernel

/// The number that the next descriptor gets: a higher one than before when one was lost.
int next_fd() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

bool send(int socket, std::string& payload, std::size_t fd_count) {
  iovec part{.iov_base = payload.data(), .iov_len = payload.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostSent * sizeof(int))]{};
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
    for (std::size_t i = 0; i < fd_count; ++i) fds[i] = 0;
  }
  return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

void receive_message(FuzzedDataProvider& input) {
  const auto fd_count = input.ConsumeIntegralInRange<std::size_t>(0, kMostSent);
  const auto taken = input.ConsumeIntegralInRange<std::size_t>(0, kMostSent);
  std::string payload = input.ConsumeRandomLengthString(64);
  if (input.ConsumeBool()) {
    payload.resize(sizeof(sbx::child::Request));
    std::memcpy(payload.data(), &sbx::child::kProtocolMagic, sizeof sbx::child::kProtocolMagic);
  }
  const sbx::detail::SocketPair pair = sbx::detail::make_socket_pair();
  if (!send(pair.theirs.get(), payload, fd_count)) return;

  const int before = next_fd();
  {
    sbx::child::Message message;
    const bool good = message.receive(pair.ours.get()) == sbx::child::Message::Outcome::kRequest;
    std::uint32_t magic = 0;
    std::memcpy(&magic, payload.data(), std::min(sizeof magic, payload.size()));
    require(
        good == (payload.size() == sizeof(sbx::child::Request) &&
                 magic == sbx::child::kProtocolMagic && fd_count <= sbx::child::kMostDescriptors),
        "a request is whole, or none");
    require(!good || message.fd_count == fd_count, "descriptors come with their request");
    for (std::size_t i = 0; i < message.fd_count; ++i) {
      require((::fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC) != 0, "no program inherits them");
    }
    if (taken < message.fd_count) ::close(message.take(taken));
  }
  require(next_fd() == before, "descriptors that nobody took are closed");
}

void touch_texts(const Program* program, const Table& table) {
  const auto* offsets = sbx::child::at<const std::uint64_t>(program, table.offset);
  for (std::uint32_t i = 0; i < table.count; ++i) {
    const auto offset = static_cast<std::uint32_t>(offsets[i]);
    (void)std::string(sbx::child::at<const char>(program, offset));
  }
  require(offsets[table.count] == 0, "a table of texts ends with a zero");
}

void touch_bytes(const Program* program, const Table& table, std::size_t element) {
  if (table.count == 0) return;
  const char* start = sbx::child::at<const char>(program, table.offset);
  (void)std::string(start, table.count * element);
}

/// Reads all that a program is said to hold: the sanitizer watches.
void touch(const Program* program) {
  touch_texts(program, program->argv);
  touch_texts(program, program->environment);
  touch_texts(program, program->candidates);
  touch_bytes(program, program->groups, sizeof(std::uint32_t));
  touch_bytes(program, program->limits, sizeof(sbx::child::Limit));
  touch_bytes(program, program->guard, sizeof(sock_filter));
  touch_bytes(program, program->filter, sizeof(sock_filter));
  touch_bytes(program, program->inner_fds, sizeof(std::int32_t));
  for (const std::uint32_t text : {program->workdir, program->home}) {
    if (text != 0) (void)std::string(sbx::child::at<const char>(program, text));
  }
}

void read_block(FuzzedDataProvider& input) {
  const bool headed = input.ConsumeBool();
  std::string bytes = input.ConsumeRemainingBytesAsString();
  if (bytes.size() < sizeof(Program)) return;
  if (headed) {
    const std::uint32_t head[] = {Program::kMagic, static_cast<std::uint32_t>(bytes.size())};
    std::memcpy(bytes.data(), head, sizeof head);
  }
  // Of exactly its size, so that the sanitizer knows where it ends.
  const std::unique_ptr<char[]> copy(new char[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  const auto* program = reinterpret_cast<const Program*>(copy.get());
  const bool whole = sbx::child::is_whole(program, bytes.size());
  if (whole) touch(program);

  static sbx::fuzz::MemoryFile file;
  file.fill(bytes);
  const sbx::child::Block block(file.fd());
  require((block.program() != nullptr) == whole, "a block is the same in a file");
}

Texts texts_from(FuzzedDataProvider& input) {
  Texts texts(input.ConsumeIntegralInRange<std::size_t>(0, 4));
  for (std::string& text : texts) {
    text = input.ConsumeRandomLengthString(40);
    text.resize(std::strlen(text.c_str()));
  }
  return texts;
}

void require_texts(const Program* program, const Table& table, const Texts& texts) {
  require(table.count == texts.size(), "a table holds every text");
  const auto* offsets = sbx::child::at<const std::uint64_t>(program, table.offset);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto offset = static_cast<std::uint32_t>(offsets[i]);
    require(sbx::child::at<const char>(program, offset) == texts[i], "a text is what it was");
  }
}

void write_block(FuzzedDataProvider& input) {
  sbx::detail::ProgramParts parts;
  parts.flags = input.ConsumeIntegral<std::uint32_t>();
  parts.uid = input.ConsumeIntegral<std::uint32_t>();
  parts.capabilities = input.ConsumeIntegral<std::uint64_t>();
  parts.argv = texts_from(input);
  parts.environment = texts_from(input);
  parts.candidates = texts_from(input);
  parts.groups.resize(input.ConsumeIntegralInRange<std::size_t>(0, 5), 7);
  parts.limits.resize(input.ConsumeIntegralInRange<std::size_t>(0, 5), {.resource = 1});
  parts.inner_fds.resize(input.ConsumeIntegralInRange<std::size_t>(0, 5), 3);
  parts.workdir = input.ConsumeRandomLengthString(20);
  parts.home = input.ConsumeRandomLengthString(20);

  const sbx::UniqueFd file = sbx::detail::ProgramBlock(parts).to_file();

  const sbx::child::Block block(file.get());
  const Program* program = block.program();
  require(program != nullptr, "a block that was made is whole");
  touch(program);
  require(program->flags == parts.flags && program->uid == parts.uid &&
              program->capabilities == parts.capabilities,
          "numbers are what they were");
  require_texts(program, program->argv, parts.argv);
  require_texts(program, program->environment, parts.environment);
  require_texts(program, program->candidates, parts.candidates);
  require(program->groups.count == parts.groups.size() &&
              program->limits.count == parts.limits.size() &&
              program->inner_fds.count == parts.inner_fds.size(),
          "tables have their sizes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  FuzzedDataProvider input(data + 1, size - 1);
  constexpr void (*kParts[])(FuzzedDataProvider&) = {receive_message, read_block, write_block};
  kParts[data[0] % std::size(kParts)](input);
  return 0;
}
