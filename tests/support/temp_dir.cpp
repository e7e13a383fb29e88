// SPDX-License-Identifier: Apache-2.0
#include "support/temp_dir.hpp"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

namespace sbx::test {
namespace {

int remove_entry(const char* path, const struct stat* /*status*/, int /*type*/, FTW* /*where*/) {
  std::remove(path);
  return 0;
}

}  // namespace

TempDir::TempDir() {
  const char* parent = std::getenv("TMPDIR");
  std::string name = std::string(parent != nullptr ? parent : "/tmp") + "/sbx-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr)
    throw std::system_error(errno, std::system_category(), "cannot create '" + name + "'");
  path_ = name;
}

// FTW_MOUNT: a mount that a failed test left here may be a bind of the host's files.
TempDir::~TempDir() { ::nftw(path_.c_str(), remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); }

}  // namespace sbx::test
