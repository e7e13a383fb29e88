// SPDX-License-Identifier: Apache-2.0
//
// The accounts that a sandbox shows, from the host's /etc/passwd and /etc/group, and from a root's
// that a stranger may have made. The C library, which programs inside read them by, is the judge.
#include <fmt/format.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <grp.h>
#include <pwd.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "fuzz/check.hpp"
#include "launch/host_root.hpp"

namespace {

using sbx::detail::AccountKind;
using sbx::detail::system_accounts;
using sbx::fuzz::require;

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// Not fmemopen(3), which ends at the first NUL.
Stream stream_of(const std::string& text) {
  static sbx::fuzz::MemoryFile file;
  Stream stream(std::fopen(file.fill(text).c_str(), "re"), std::fclose);
  require(stream != nullptr, "a text can be read");
  return stream;
}

bool is_system(std::uint32_t id) { return id < 1000 || id == 65534; }

/// Calls body(entry) for each user that the C library sees in `passwd`.
template <typename Body>
void each_user(const std::string& passwd, Body body) {
  const Stream stream = stream_of(passwd);
  while (const struct passwd* entry = ::fgetpwent(stream.get())) body(*entry);
}

template <typename Body>
void each_group(const std::string& group, Body body) {
  const Stream stream = stream_of(group);
  while (const struct group* entry = ::fgetgrent(stream.get())) body(*entry);
}

void require_system_users(const std::string& text) {
  const std::string kept = system_accounts(text, AccountKind::kUser);
  each_user(kept, [&](const passwd& user) {
    require(is_system(user.pw_uid), "a person is no account of the sandbox", kept);
  });
  require(system_accounts(kept, AccountKind::kUser) == kept, "what is kept is kept again", kept);
}

void require_system_groups(const std::string& text) {
  const std::string kept = system_accounts(text, AccountKind::kGroup);
  each_group(kept, [&](const group& group) {
    require(is_system(group.gr_gid), "a person's group is none of the sandbox", kept);
    require(*group.gr_mem == nullptr, "a group of the sandbox shows no member", kept);
  });
  require(system_accounts(kept, AccountKind::kGroup) == kept, "what is kept is kept again", kept);
}

/// What Sandbox::start lets through.
std::string name_from(FuzzedDataProvider& input) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  std::string name;
  const auto size = input.ConsumeIntegralInRange<std::size_t>(1, 32);
  for (std::size_t i = 0; i < size; ++i) {
    name += kLetters[input.ConsumeIntegralInRange<std::size_t>(0, kLetters.size() - 1)];
  }
  return name;
}

void require_own_account(const std::string& passwd, const std::string& group,
                         const sbx::User& user) {
  const auto files = sbx::detail::account_files(passwd, group, user);
  require(files.size() == 2 && files[0].path == "/etc/passwd" && files[1].path == "/etc/group",
          "there is a file of users and one of groups");
  const std::string shown =
      fmt::format("user {} {}:{}\n{}", user.name, user.uid, user.gid, files[0].contents);
  bool by_name = false;
  bool by_number = false;
  each_user(files[0].contents, [&](const ::passwd& entry) {
    if (!by_name && entry.pw_name == user.name) {
      by_name = true;
      require(entry.pw_uid == user.uid, "the user's name leads to his number", shown);
    }
    if (entry.pw_uid == user.uid) by_number = true;
  });
  require(by_name, "the user has a name", shown);
  require(by_number, "the user's number has a name", shown);
  bool has_group = false;
  each_group(files[1].contents, [&](const ::group& entry) {
    if (entry.gr_gid == user.gid) has_group = true;
  });
  require(has_group, "the user's group has a name",
          fmt::format("group {}\n{}", user.gid, files[1].contents));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  const sbx::User user{.uid = input.ConsumeIntegralInRange<std::uint32_t>(0, 4294967294),
                       .gid = input.ConsumeIntegralInRange<std::uint32_t>(0, 4294967294),
                       .name = name_from(input),
                       .home = "/home/user",
                       .groups = {}};
  const auto half = input.ConsumeIntegral<std::uint16_t>();
  const std::string text = input.ConsumeRemainingBytesAsString();
  const std::string passwd = text.substr(0, half);
  const std::string group = text.substr(passwd.size());
  require_system_users(text);
  require_system_groups(text);
  require_own_account(system_accounts(passwd, AccountKind::kUser),
                      system_accounts(group, AccountKind::kGroup), user);
  require_own_account(passwd, group, user);
  return 0;
}
