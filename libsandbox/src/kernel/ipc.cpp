// SPDX-License-Identifier: Apache-2.0
#include "sbx/ipc.hpp"

#include <cerrno>
#include <filesystem>

#include "kernel/number_file.hpp"
#include "sys/error.hpp"
#include "sys/proc_file.hpp"

namespace sbx {

namespace {

struct Limit {
  std::optional<std::uint64_t> IpcLimits::*field;
  const char* sysctl;
};

constexpr Limit kLimits[] = {
    {&IpcLimits::shmmax_bytes, "kernel/shmmax"},
    {&IpcLimits::shmall_pages, "kernel/shmall"},
    {&IpcLimits::shmmni, "kernel/shmmni"},
    {&IpcLimits::msgmax_bytes, "kernel/msgmax"},
    {&IpcLimits::msgmnb_bytes, "kernel/msgmnb"},
    {&IpcLimits::msgmni, "kernel/msgmni"},
    {&IpcLimits::mqueue_queues, "fs/mqueue/queues_max"},
    {&IpcLimits::mqueue_msg, "fs/mqueue/msg_max"},
    {&IpcLimits::mqueue_msgsize_bytes, "fs/mqueue/msgsize_max"},
};

// These files show the IPC namespace of the thread that opens them, not that of the procfs mount,
// so they follow a thread that has entered a namespace by itself.
std::filesystem::path path_of(const std::string& sysctl) { return "/proc/sys/" + sysctl; }

// None where the kernel was built without SysV IPC or without POSIX queues.
std::optional<std::uint64_t> find_number(const std::filesystem::path& path) try {
  return detail::read_number(path);
} catch (const SystemError& error) {
  if (error.code().value() != ENOENT) throw;
  return {};
}

}  // namespace

IpcLimits IpcLimits::current() {
  IpcLimits limits;
  for (const auto& [field, sysctl] : kLimits) limits.*field = find_number(path_of(sysctl));
  return limits;
}

void IpcLimits::apply() const {
  for (const auto& [sysctl, text] : sysctls()) detail::write_file(path_of(sysctl), text);
}

std::vector<std::pair<std::string, std::string>> IpcLimits::sysctls() const {
  std::vector<std::pair<std::string, std::string>> named;
  for (const auto& [field, sysctl] : kLimits)
    if (const auto& value = this->*field) named.emplace_back(sysctl, std::to_string(*value));
  return named;
}

}  // namespace sbx
