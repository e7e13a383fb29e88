// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

namespace faults {

/// Everything outside of processes that a start could leave behind on this machine, one line each:
/// mounts, interfaces, cgroups, SysV IPC, files in /tmp, /dev/shm and /dev/mqueue, sockets with a
/// name, and this process's own descriptors.
class Inventory {
 public:
  static Inventory take();

  /// What is there now and was not then. Other programs of the machine make things, too, that go by
  /// themselves: waits until nothing is left, at most a few seconds.
  [[nodiscard]] std::vector<std::string> left() const;

 private:
  [[nodiscard]] std::vector<std::string> beyond(const Inventory& before) const;

  std::set<std::string> things_;
};

/// Makes this process the one to which orphans below it fall, so that what is left can be found;
/// and then ends and reaps them all.
class Orphanage {
 public:
  Orphanage();
  Orphanage(const Orphanage&) = delete;
  Orphanage& operator=(const Orphanage&) = delete;
  Orphanage(Orphanage&&) = delete;
  Orphanage& operator=(Orphanage&&) = delete;
  ~Orphanage();

  /// The command lines of what is still alive below this process after a while; empty as soon as
  /// nothing is.
  [[nodiscard]] std::vector<std::string> left() const;
};

}  // namespace faults
