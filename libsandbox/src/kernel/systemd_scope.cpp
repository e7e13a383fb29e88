// SPDX-License-Identifier: Apache-2.0
#include "kernel/systemd_scope.hpp"

#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/error.hpp"
#include "sys/loaded_library.hpp"

#ifdef SBX_HAVE_SYSTEMD
#include <systemd/sd-bus.h>
#endif

namespace sbx::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSystemdRuns = "/run/systemd/system";  // see sd_booted(3)

bool is_unit(const fs::path& group) {
  const std::string kind = group.extension();
  return kind == ".service" || kind == ".scope" || kind == ".slice";
}

bool has_mark(const fs::path& group, const char* attribute) {
  char value = 0;
  return ::getxattr(group.c_str(), attribute, &value, 1) == 1 && value == '1';
}

/// Whether the nearest unit of systemd's that the group belongs to gives what is below away.
bool is_delegated(const CgroupHierarchy& hierarchy) {
  for (fs::path group = hierarchy.own; group != hierarchy.mount && group.has_relative_path();
       group = group.parent_path()) {
    if (is_unit(group)) {
      return has_mark(group, "user.delegate") || has_mark(group, "trusted.delegate");
    }
  }
  return true;  // the tree's root, as in a container
}

bool limits_by_version_1(const CgroupTree& tree) {
  return std::any_of(tree.hierarchies().begin(), tree.hierarchies().end(),
                     [](const CgroupHierarchy& hierarchy) {
                       return !hierarchy.unified && !CgroupTree::controllers_in(hierarchy).empty();
                     });
}

}  // namespace

bool may_make_groups(const CgroupTree& tree) {
  const CgroupHierarchy* v2 = tree.unified();
  // With version 1 there is no delegation: who may write may make groups. One that has nothing to
  // limit, such as the net_cls that a VPN mounts, makes no such host.
  if (v2 == nullptr || limits_by_version_1(tree)) return true;
  if (::access(v2->own.c_str(), W_OK) < 0) return false;
  return ::access(kSystemdRuns, F_OK) < 0 || is_delegated(*v2);
}

bool is_in_scope(const fs::path& group) { return group.parent_path().extension() == ".scope"; }

#ifdef SBX_HAVE_SYSTEMD

namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kPatience = 10'000'000;  // microseconds

/// libsystemd, opened when it is needed: few starts need it, and every start would pay for it.
struct Library {
  Library() {
    const LoadedLibrary library("libsystemd.so.0", "cannot ask systemd for a control group",
                                "libsystemd is missing");
    library.find(open_user, "sd_bus_open_user");
    library.find(open_system, "sd_bus_open_system");
    library.find(close_unref, "sd_bus_flush_close_unref");
    library.find(new_method_call, "sd_bus_message_new_method_call");
    library.find(append, "sd_bus_message_append");
    library.find(append_array, "sd_bus_message_append_array");
    library.find(open_container, "sd_bus_message_open_container");
    library.find(close_container, "sd_bus_message_close_container");
    library.find(message_unref, "sd_bus_message_unref");
    library.find(read, "sd_bus_message_read");
    library.find(call, "sd_bus_call");
    library.find(error_free, "sd_bus_error_free");
    library.find(match_signal, "sd_bus_match_signal");
    library.find(process, "sd_bus_process");
    library.find(wait, "sd_bus_wait");
  }

  decltype(&sd_bus_open_user) open_user = nullptr;
  decltype(&sd_bus_open_system) open_system = nullptr;
  decltype(&sd_bus_flush_close_unref) close_unref = nullptr;
  decltype(&sd_bus_message_new_method_call) new_method_call = nullptr;
  decltype(&sd_bus_message_append) append = nullptr;
  decltype(&sd_bus_message_append_array) append_array = nullptr;
  decltype(&sd_bus_message_open_container) open_container = nullptr;
  decltype(&sd_bus_message_close_container) close_container = nullptr;
  decltype(&sd_bus_message_unref) message_unref = nullptr;
  decltype(&sd_bus_message_read) read = nullptr;
  decltype(&sd_bus_call) call = nullptr;
  decltype(&sd_bus_error_free) error_free = nullptr;
  decltype(&sd_bus_match_signal) match_signal = nullptr;
  decltype(&sd_bus_process) process = nullptr;
  decltype(&sd_bus_wait) wait = nullptr;
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

/// One request to a manager, and the wait for the job that it starts.
class ScopeRequest {
 public:
  explicit ScopeRequest(std::string name) : name_(std::move(name)) {
    const int opened = ::geteuid() == 0 ? sd_.open_system(&bus_) : sd_.open_user(&bus_);
    if (opened < 0) fail(opened, "its bus cannot be reached: is XDG_RUNTIME_DIR set?");
  }
  ScopeRequest(const ScopeRequest&) = delete;
  ScopeRequest& operator=(const ScopeRequest&) = delete;
  ScopeRequest(ScopeRequest&&) = delete;
  ScopeRequest& operator=(ScopeRequest&&) = delete;
  ~ScopeRequest() {
    sd_.message_unref(reply_);
    sd_.message_unref(message_);
    sd_.close_unref(bus_);
  }

  void start(const std::vector<int>& pids, const Limits& limits) {
    // Before the request: the job may be done before its number is known.
    check(sd_.match_signal(bus_, nullptr, kService, kObject, kManager, "JobRemoved", on_job, this));
    compose(pids, limits);
    sd_bus_error error{};
    const int result = sd_.call(bus_, message_, kPatience, &error, &reply_);
    const std::string said = error.message == nullptr ? "" : error.message;
    sd_.error_free(&error);
    if (result < 0) fail(result, said);
    wait();
  }

 private:
  static int on_job(sd_bus_message* signal, void* self, sd_bus_error* /*error*/) {
    auto& request = *static_cast<ScopeRequest*>(self);
    std::uint32_t number = 0;
    const char* job = nullptr;
    const char* unit = nullptr;
    const char* result = nullptr;
    if (request.sd_.read(signal, "uoss", &number, &job, &unit, &result) >= 0 &&
        request.name_ == unit) {
      request.result_ = result;
    }
    return 0;
  }

  void compose(const std::vector<int>& pids, const Limits& limits) {
    check(sd_.new_method_call(bus_, &message_, kService, kObject, kManager, "StartTransientUnit"));
    check(sd_.append(message_, "ss", name_.c_str(), "fail"));
    check(sd_.open_container(message_, 'a', "(sv)"));
    check(sd_.append(message_, "(sv)", "Description", "s", "a sandbox"));
    check(sd_.append(message_, "(sv)", "Delegate", "b", 1));
    check(sd_.append(message_, "(sv)", "CollectMode", "s", "inactive-or-failed"));
    append_weight("CPUWeight", limits.cpu_weight);
    append_weight("IOWeight", limits.io_weight);
    check(sd_.open_container(message_, 'r', "sv"));
    check(sd_.append(message_, "s", "PIDs"));
    check(sd_.open_container(message_, 'v', "au"));
    check(sd_.append_array(message_, 'u', pids.data(), pids.size() * sizeof(int)));
    check(sd_.close_container(message_));
    check(sd_.close_container(message_));
    check(sd_.close_container(message_));
    check(sd_.append(message_, "a(sa(sv))", 0));
  }

  void append_weight(const char* property, const std::optional<std::uint32_t>& weight) {
    if (!weight) return;
    check(sd_.append(message_, "(sv)", property, "t", static_cast<std::uint64_t>(*weight)));
  }

  void wait() {
    while (result_.empty()) {
      const int processed = sd_.process(bus_, nullptr);
      check(processed);
      if (processed > 0) continue;
      const int waited = sd_.wait(bus_, kPatience);
      check(waited);
      if (waited == 0) fail(-ETIMEDOUT, "");
    }
    if (result_ != "done") fail(-ECANCELED, "the job ended as '" + result_ + "'");
  }

  void check(int result) const {
    if (result < 0) fail(result, "");
  }

  [[noreturn]] void fail(int result, const std::string& why) const {
    throw SystemError(-result, fmt::format("cannot start the scope '{}' by systemd", name_), why);
  }

  const Library& sd_ = library();
  std::string name_;
  sd_bus* bus_ = nullptr;
  sd_bus_message* message_ = nullptr;
  sd_bus_message* reply_ = nullptr;
  std::string result_;
};

}  // namespace

bool can_ask_systemd() { return ::access(kSystemdRuns, F_OK) == 0; }

void move_to_scope(const std::string& name, const std::vector<int>& pids, const Limits& limits) {
  ScopeRequest(name + ".scope").start(pids, limits);
}

#else

bool can_ask_systemd() { return false; }

void move_to_scope(const std::string& name, const std::vector<int>& /*pids*/,
                   const Limits& /*limits*/) {
  throw SystemError(ENOSYS, fmt::format("cannot start the scope '{}.scope' by systemd", name),
                    "this library was built without systemd");
}

#endif

}  // namespace sbx::detail
