// SPDX-License-Identifier: Apache-2.0
//
// Runs inside a sandbox and says how strict it is, one line a fact, the same in every run: two
// sandboxes that are made alike print the same text. Arguments: the inodes of the namespaces
// outside, as "NAME=INODE", then, after "--", paths whose contents it prints. Static, so that it
// needs nothing of the root.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace {

std::string report;

void say(const std::string& line) { report += line + "\n"; }

std::string text_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::string("(") + std::strerror(errno) + ")";
  std::string text;
  char bytes[4096];
  for (ssize_t size = 0; (size = ::read(fd, bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(size));
  ::close(fd);
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

void tell_status(const char* who) {
  for (const std::string& line : lines_of(text_of(std::string("/proc/") + who + "/status"))) {
    for (const char* key : {"Uid:", "Gid:", "Groups:", "Umask:", "Cap", "NoNewPrivs:", "Seccomp",
                            "SigBlk:", "SigIgn:", "SigCgt:"}) {
      if (line.rfind(key, 0) != 0) continue;
      std::string text;
      for (const std::string& word : words_of(line)) text += " " + word;
      say(std::string(who) + text);
    }
  }
}

/// The mounts, without what differs from run to run.
void tell_mounts() {
  for (const std::string& line : lines_of(text_of("/proc/self/mountinfo"))) {
    const std::vector<std::string> words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    std::string shared;
    for (auto word = words.begin() + 6; word != dash; ++word)
      shared += word->rfind("master", 0) == 0 ? " master" : " " + *word;
    const std::string type = *(dash + 1);
    const std::string options = *(dash + 3);
    say("mount " + words[4] + " " + words[5] + shared + " " + type + " " + options.substr(0, 2));
  }
}

void tell_namespaces(const std::vector<std::string>& outside) {
  for (const std::string& entry : outside) {
    const std::size_t sign = entry.find('=');
    const std::string name = entry.substr(0, sign);
    struct stat status {};
    const bool there = ::stat(("/proc/self/ns/" + name).c_str(), &status) == 0;
    const bool same = there && std::to_string(status.st_ino) == entry.substr(sign + 1);
    say("namespace " + name + (!there ? " unknown" : same ? " the host's" : " own"));
  }
}

void tell_descriptors() {
  for (int fd = 0; fd < 1024; ++fd) {
    char target[256] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), target, sizeof target - 1) < 0) continue;
    std::string text(target);
    if (const std::size_t colon = text.find(":["); colon != std::string::npos) text.resize(colon);
    say("descriptor " + std::to_string(fd) + " " + text);
  }
}

void try_open(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  const char* word = fd >= 0 ? "opens" : std::strerror(errno);
  say(std::string("open ") + path +
      ((flags & O_ACCMODE) == O_RDONLY ? " to read: " : " to write: ") + word);
  if (fd >= 0) ::close(fd);
}

void tell_kernel_files() {
  for (const char* path :
       {"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname",
        "/proc/sys/user/max_user_namespaces", "/new-file", "/usr/new-file", "/etc/passwd"}) {
    try_open(path, std::string_view(path).find("new-file") != std::string_view::npos
                       ? O_WRONLY | O_CREAT
                       : O_WRONLY);
  }
  for (const char* path : {"/proc/1/environ", "/proc/1/maps", "/proc/1/exe", "/etc/shadow"})
    try_open(path, O_RDONLY);
  for (const char* path :
       {"/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/key-users",
        "/proc/kmsg", "/proc/pressure", "/proc/timer_list", "/proc/scsi", "/proc/kpageflags"}) {
    struct stat status {};
    if (::stat(path, &status) < 0) continue;
    const bool null = S_ISCHR(status.st_mode) && status.st_rdev == 0x103;
    const bool directory = S_ISDIR(status.st_mode);
    say(std::string("masked ") + path + (null ? " null" : directory ? " directory" : " NO"));
  }
  for (const char* path :
       {"/proc/sys/user/max_user_namespaces", "/proc/sys/net/ipv4/ping_group_range",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/shmmni", "/proc/sys/fs/mqueue/queues_max"})
    for (const std::string& line : lines_of(text_of(path))) say(std::string(path) + " " + line);
}

void tell_network() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  const bool up = ::ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
  ::close(fd);
  say(std::string("loopback ") + (up ? "up" : "DOWN"));
  for (const std::string& line : lines_of(text_of("/proc/net/dev"))) {
    const std::string name = line.substr(0, line.find(':'));
    if (line.find(':') != std::string::npos) say("interface " + words_of(name)[0]);
  }
}

void tell_process(const char* session) {
  say("process " + std::to_string(::getpid() == 1) + " session " +
      std::to_string(::getsid(0) == ::getpid()) + " group " +
      std::to_string(::getpgrp() == ::getpid()) + " parent " + std::to_string(::getppid()));
  char path[4096] = {};
  say(std::string("directory ") + (::getcwd(path, sizeof path) != nullptr ? path : "none"));
  char target[256] = {};
  if (::readlink("/proc/self/cwd", target, sizeof target - 1) > 0)
    say(std::string("directory by /proc ") + target);
  int parent_death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &parent_death_signal);
  say("parent-death signal " + std::to_string(parent_death_signal));
  say("personality " + std::to_string(::personality(0xffffffff)));
  const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  say(std::string("terminal ") + (terminal >= 0 ? "yes" : "no"));
  winsize size{};
  if (terminal >= 0 && ::ioctl(terminal, TIOCGWINSZ, &size) == 0)
    say("size " + std::to_string(size.ws_row) + " " + std::to_string(size.ws_col));
  if (terminal >= 0) ::close(terminal);
  const long keyring = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  const bool outer = session != nullptr && std::to_string(keyring) == session;
  say(std::string("session keyring ") + (outer ? "the host's" : "own or none"));
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
    say("limit " + std::to_string(resource) + " " + std::to_string(limit.rlim_cur) + " " +
        std::to_string(limit.rlim_max));
  }
  for (char** variable = environ; *variable != nullptr; ++variable)
    say(std::string("environment ") + *variable);
}

void list(const char* path) {
  DIR* directory = ::opendir(path);
  if (directory == nullptr) return say(std::string(path) + " " + std::strerror(errno));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    struct stat status {};
    const std::string whole = std::string(path) + (path[1] == 0 ? "" : "/") + name;
    if (name == "." || name == ".." || ::lstat(whole.c_str(), &status) < 0) continue;
    char text[64];
    std::snprintf(text, sizeof text, " %o %u:%u", status.st_mode, status.st_uid, status.st_gid);
    say("file " + whole + text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> outside;
  const char* session = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "keyring=", 8) == 0) {
      session = argv[i] + 8;
    } else {
      outside.emplace_back(argv[i]);
    }
  }
  tell_status("self");
  tell_status("1");
  tell_mounts();
  tell_namespaces(outside);
  tell_descriptors();
  tell_kernel_files();
  tell_network();
  tell_process(session);
  for (const char* path : {"/", "/etc", "/dev", "/tmp", "/var", "/home", "/run"}) list(path);
  for (const char* path : {"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname"})
    for (const std::string& line : lines_of(text_of(path))) say(std::string(path) + " " + line);
  say("end");
  for (std::size_t done = 0; done < report.size();) {
    const ssize_t size = ::write(1, report.data() + done, report.size() - done);
    if (size < 0) return 9;
    done += static_cast<std::size_t>(size);
  }
  return 0;
}
