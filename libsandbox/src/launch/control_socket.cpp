// SPDX-License-Identifier: Apache-2.0
#include "launch/control_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/error.hpp"
#include "sys/socket_address.hpp"

namespace sbx::detail {

ControlSocket ControlSocket::bind(const std::filesystem::path& path) {
  ControlSocket bound;
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  UniqueFd opened(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened) throw_errno("cannot open '{}'", printable(directory.native()));
  bound.socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!bound.socket_) throw_errno("cannot make a socket");

  bound.name_ = path.filename().native();
  const auto address = address_in(opened.get(), bound.name_);
  if (!address) {
    throw SystemError(ENAMETOOLONG, fmt::format("cannot bind '{}'", printable(path.native())));
  }
  if (::bind(bound.socket_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) <
      0) {
    throw_errno("cannot bind '{}'", printable(path.native()));
  }
  bound.directory_ = std::move(opened);
  return bound;
}

ControlSocket::~ControlSocket() {
  if (directory_) ::unlinkat(directory_.get(), name_.c_str(), 0);
}

}  // namespace sbx::detail
