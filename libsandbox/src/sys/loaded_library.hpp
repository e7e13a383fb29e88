// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

#include <string>

#include "sys/error.hpp"

namespace sbx::detail {

/// A shared library that is opened when it is needed, because few programs need it and each would
/// pay for it at its start. It stays for as long as the program.
class LoadedLibrary {
 public:
  /// Throws SystemError: ENOENT, with `attempt` and `cure`, where it is missing.
  LoadedLibrary(const char* file, const std::string& attempt, const std::string& cure)
      : file_(file), handle_(::dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw SystemError(ENOENT, attempt, cure);
  }

  /// Lets `function` be the one of that name.
  template <typename Function>
  void find(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(::dlsym(handle_, name));
    if (function == nullptr) {
      throw SystemError(ENOSYS, fmt::format("cannot find '{}' in {}", name, file_));
    }
  }

 private:
  const char* file_;
  void* handle_;
};

}  // namespace sbx::detail
