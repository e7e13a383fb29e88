// SPDX-License-Identifier: Apache-2.0
#include "launch/image.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include <span>

#include "sys/error.hpp"
#include "sys/raw.hpp"

namespace sbx::detail {
namespace {

constexpr unsigned kMemfdExec = 0x10;  // MFD_EXEC, Linux 6.3

constexpr unsigned char kInit[] = {
#include "init_image.inc"
};
constexpr unsigned char kKeeper[] = {
#include "keeper_image.inc"
};

struct Source {
  const char* file;
  const char* name;
  std::span<const unsigned char> bytes;
};

Source source_of(Image image) {
  if (image == Image::kInit) return {"sbx-init", "the init", kInit};
  return {"sbx-keeper", "the keeper", kKeeper};
}

}  // namespace

UniqueFd open_image(Image image) {
  const Source source = source_of(image);
  long result = raw::memfd_create(source.file, MFD_CLOEXEC | MFD_ALLOW_SEALING | kMemfdExec);
  if (result == -EINVAL) result = raw::memfd_create(source.file, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  UniqueFd file(static_cast<int>(check(result, "cannot make a memory file for {}", source.name)));
  const long written = check(raw::write(file.get(), source.bytes.data(), source.bytes.size()),
                             "cannot write {}", source.name);
  if (static_cast<std::size_t>(written) != source.bytes.size()) {
    throw SystemError(EIO, fmt::format("cannot write {}", source.name));
  }
  const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  check(raw::fcntl(file.get(), F_ADD_SEALS, seals), "cannot seal {}", source.name);
  return file;
}

}  // namespace sbx::detail
