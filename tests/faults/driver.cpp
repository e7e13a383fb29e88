// SPDX-License-Identifier: Apache-2.0
//
// A program that uses the library once, in one of several ways, and says how it went: the probe's
// output on standard output, what was thrown on standard error with exit status 3. At its end it
// says what of itself is not as before.
//
// usage: fault_driver SCENARIO PROBE DIRECTORY [RESOURCE SOFT_LIMIT]
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "sbx/sandbox.hpp"
#include "support/inject.hpp"
#include "support/process.hpp"

namespace {

namespace fs = std::filesystem;
using sbx::Sandbox;
using sbx::Spec;

struct Input {
  std::string probe;
  fs::path directory;
  sbx::Command command;
};

/// The probe, with what it compares itself to.
sbx::Command probe_command() {
  sbx::Command command{.argv = {"/probe"}};
  for (const char* name : {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"}) {
    struct stat status {};
    if (::stat((std::string("/proc/self/ns/") + name).c_str(), &status) == 0)
      command.argv.push_back(std::string(name) + "=" + std::to_string(status.st_ino));
  }
  const long keyring = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  if (keyring > 0) command.argv.push_back("keyring=" + std::to_string(keyring));
  command.workdir = "/tmp";
  command.umask = 027;
  return command;
}

Spec probe_spec(const Input& input) {
  Spec spec{.command = input.command};
  spec.mounts.emplace_back(sbx::Bind{.source = input.probe, .target = "/probe", .read_only = true});
  return spec;
}

/// The standard-error text of a report that is not that of a probe that has run.
void require_ok(const sbx::Report& report) {
  if (report.ok()) return;
  std::fprintf(stderr, "report: %s %d %s\n", sbx::to_string(report.reason), report.status,
               report.message.c_str());
  std::exit(4);
}

void print_terminal(sbx::Terminal terminal) {
  char bytes[4096];
  for (;;) {
    const ssize_t size = ::read(terminal.fd(), bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    const auto end = std::remove(bytes, bytes + size, '\r');
    if (::write(1, bytes, static_cast<std::size_t>(end - bytes)) < 0) std::exit(5);
  }
}

sbx::Report start_plain(const Spec& spec) { return Sandbox::start(spec).wait(); }

sbx::Report start_on_terminal(const Spec& spec) {
  Sandbox sandbox = Sandbox::start(spec);
  if (auto terminal = sandbox.take_terminal()) {
    ::prctl(sbx::test::kEndMark);  // this reads and writes for itself
    print_terminal(std::move(*terminal));
    ::prctl(sbx::test::kBeginMark);
  }
  return sandbox.wait();
}

/// Everything that a Spec can ask for in the way of mounts and rights.
Spec rich_spec(const Input& input) {
  Spec spec = probe_spec(input);
  spec.root.overlay = sbx::Root::Overlay::kKeep;
  spec.root.overlay_directory = input.directory / "layer";
  spec.mounts.emplace_back(sbx::Bind{.source = input.directory / "shared", .target = "/shared"});
  spec.mounts.emplace_back(sbx::Tmpfs{.target = "/scratch", .size_bytes = 1 << 20, .inodes = 64});
  spec.rlimits = {{.resource = RLIMIT_CORE, .soft = 0, .hard = 0},
                  {.resource = RLIMIT_NOFILE, .soft = 100, .hard = 200}};
  if (::geteuid() == 0) spec.ipc.shmmni = 7;
  spec.capabilities = sbx::CapabilitySet{sbx::Capability::kNetBindService};
  spec.control_socket = input.directory / "run" / "init.sock";
  return spec;
}

sbx::Report run_scenario(std::string_view name, const Input& input) {
  Spec spec = probe_spec(input);
  if (name == "plain") return start_plain(spec);
  if (name == "bare") {
    spec.init = sbx::Init::kNone;
    return start_plain(spec);
  }
  if (name == "pasta") {
    spec.network.mode = sbx::Network::Mode::kUser;
    return start_plain(spec);
  }
  if (name == "rich") return start_plain(rich_spec(input));
  if (name == "given") {
    spec.root.directory = input.directory / "root";
    spec.user = sbx::User{.uid = 0, .gid = 0, .name = "root", .home = "/root", .groups = {}};
    return start_plain(spec);
  }
  spec.command.terminal = name == "terminal" || name == "bare-terminal";
  if (name == "bare-terminal") spec.init = sbx::Init::kNone;
  if (spec.command.terminal) return start_on_terminal(spec);
  if (name == "exec") {
    spec.command.argv.clear();
    Sandbox sandbox = Sandbox::start(spec);
    require_ok(sandbox.exec(input.command).wait());
    sandbox.exec_main(input.command);
    return sandbox.wait();
  }
  if (name == "enter") {
    Sandbox sandbox = Sandbox::open(input.directory / "run" / "m" / "init.sock");
    return sandbox.exec(input.command).wait();
  }
  std::fprintf(stderr, "no such scenario\n");
  std::exit(96);
}

/// What a start must leave alone in its caller.
std::string condition() {
  std::string text;
  for (const auto& [fd, target] : sbx::test::open_fds())
    text += "caller: descriptor " + std::to_string(fd) + " " + target + "\n";
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < SIGRTMIN; ++signal)
    if (sigismember(&mask, signal) == 1) text += "caller: blocks " + std::to_string(signal) + "\n";
  text += "caller: dumpable " + std::to_string(::prctl(PR_GET_DUMPABLE)) + "\n";
  const mode_t mode = ::umask(0);
  ::umask(mode);
  text += "caller: umask " + std::to_string(mode) + "\n";
  text += "caller: directory " + fs::current_path().native() + "\n";
  const bool children = ::waitpid(-1, nullptr, __WALL | WNOHANG) >= 0;
  return text + (children ? "caller: CHILDREN\n" : "caller: no children\n");
}

rlim_t address_space_bytes() {
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  file >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

/// Lowers the soft limit of a resource, for the address space to as much more than it is now.
class Lowered {
 public:
  Lowered(const char* resource, const char* value)
      : resource_(static_cast<__rlimit_resource>(std::atoi(resource))) {
    ::getrlimit(resource_, &before_);
    rlimit lower = before_;
    lower.rlim_cur = std::strtoull(value, nullptr, 10);
    if (resource_ == RLIMIT_AS) lower.rlim_cur += address_space_bytes();
    ::setrlimit(resource_, &lower);
  }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;
  Lowered(Lowered&&) = delete;
  Lowered& operator=(Lowered&&) = delete;
  ~Lowered() { ::setrlimit(resource_, &before_); }

 private:
  __rlimit_resource resource_;
  rlimit before_{};
};

/// Exit status 3 for what the library throws.
int attempt(std::string_view scenario, const Input& input) {
  try {
    require_ok(run_scenario(scenario, input));
    return 0;
  } catch (const std::bad_alloc&) {
    std::fputs("cannot allocate memory: std::bad_alloc\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 96;
  const Input input{.probe = argv[2], .directory = argv[3], .command = probe_command()};
  const std::string before = condition();
  std::optional<Lowered> lowered;
  if (argc > 5) lowered.emplace(argv[4], argv[5]);

  ::prctl(sbx::test::kBeginMark);
  const int status = attempt(argv[1], input);
  ::prctl(sbx::test::kEndMark);

  lowered.reset();
  const std::string after = condition();
  if (before != after) std::printf("%safter:\n%s", before.c_str(), after.c_str());
  std::fflush(stdout);
  return status;
}
