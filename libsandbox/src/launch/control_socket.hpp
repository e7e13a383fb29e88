// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "sbx/fd.hpp"

namespace sbx::detail {

/// A socket that the init of a sandbox listens on, bound to its path; the path goes with this.
class ControlSocket {
 public:
  ControlSocket() = default;  ///< none
  static ControlSocket bind(const std::filesystem::path& path);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  ControlSocket(ControlSocket&&) noexcept = default;
  ControlSocket& operator=(ControlSocket&&) noexcept = default;
  ~ControlSocket();

  /// -1 when there is none, or the init alone has it.
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  /// Leaves the socket to the init, which has a copy.
  void close() noexcept { socket_.reset(); }

  /// Leaves the path, too.
  void release() noexcept { directory_.reset(); }

 private:
  UniqueFd socket_;
  UniqueFd directory_;  // where it lies; none when there is nothing to take away
  std::string name_;
};

}  // namespace sbx::detail
