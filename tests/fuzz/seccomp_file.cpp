// SPDX-License-Identifier: Apache-2.0
//
// A seccomp profile in a file. What comes out is a program that the kernel takes, and that ends
// whoever calls by a foreign ABI, whatever the file says.
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "fuzz/check.hpp"
#include "sbx/error.hpp"
#include "sbx/seccomp.hpp"

namespace {

using sbx::fuzz::require;

#if defined(__x86_64__)
constexpr std::uint32_t kNative = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kForeign = AUDIT_ARCH_I386;
#else
constexpr std::uint32_t kNative = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kForeign = AUDIT_ARCH_ARM;
#endif

/// What the program answers, by a machine that has of BPF what libseccomp makes, and checks it as
/// bpf_check_classic() and seccomp_check_filter() of the kernel do.
class Machine {
 public:
  explicit Machine(const sbx::SeccompFilter& filter) : filter_(filter) {}

  std::uint32_t answer(const seccomp_data& call) const {
    std::uint32_t a = 0;
    for (std::size_t i = 0; i < filter_.size(); ++i) {
      const sock_filter& step = filter_.data()[i];
      switch (step.code) {
        case BPF_LD | BPF_W | BPF_ABS:
          require(step.k % 4 == 0 && step.k + 4 <= sizeof call, "a load is of the call's data");
          std::memcpy(&a, reinterpret_cast<const char*>(&call) + step.k, sizeof a);
          break;
        case BPF_ALU | BPF_AND | BPF_K:
          a &= step.k;
          break;
        case BPF_RET | BPF_K:
          return step.k;
        case BPF_JMP | BPF_JA:
          i += step.k;
          break;
        default:
          i += holds(step, a) ? step.jt : step.jf;
      }
    }
    require(false, "a program ends with an answer");
    return 0;
  }

 private:
  static bool holds(const sock_filter& step, std::uint32_t a) {
    switch (step.code) {
      case BPF_JMP | BPF_JEQ | BPF_K:
        return a == step.k;
      case BPF_JMP | BPF_JGT | BPF_K:
        return a > step.k;
      case BPF_JMP | BPF_JGE | BPF_K:
        return a >= step.k;
      case BPF_JMP | BPF_JSET | BPF_K:
        return (a & step.k) != 0;
      default:
        require(false, "an instruction is known");
        return false;
    }
  }

  const sbx::SeccompFilter& filter_;
};

void require_whole(const sbx::SeccompFilter& filter) {
  require(filter.size() > 0 && filter.size() <= BPF_MAXINSNS, "a program has 1 to 4096 steps");
  for (std::size_t i = 0; i < filter.size(); ++i) {
    const sock_filter& step = filter.data()[i];
    if (BPF_CLASS(step.code) != BPF_JMP) continue;
    const std::size_t farthest =
        BPF_OP(step.code) == BPF_JA ? step.k : std::size_t{std::max(step.jt, step.jf)};
    require(i + 1 + farthest < filter.size(), "a jump stays in the program");
  }
  const sock_filter& last = filter.data()[filter.size() - 1];
  require(BPF_CLASS(last.code) == BPF_RET, "a program ends with an answer");
}

void require_native_only(const sbx::SeccompFilter& filter) {
  const Machine machine(filter);
  for (const int number : {0, 1, 59, 101, 1000, 0x40000000, 0x4000003b, -1}) {
    seccomp_data call{};
    call.nr = number;
    call.arch = kForeign;
    require(machine.answer(call) == SECCOMP_RET_KILL_PROCESS, "a foreign ABI ends the process");
    call.arch = kNative;
    const std::uint32_t answer = machine.answer(call);
    if (kNative == AUDIT_ARCH_X86_64 && number >= 0x40000000) {
      require(answer == SECCOMP_RET_KILL_PROCESS, "x32 ends the process");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static sbx::fuzz::MemoryFile file;
  const std::string& path = file.fill({reinterpret_cast<const char*>(data), size});
  try {
    const auto filter = sbx::SeccompFilter::from_file(path);
    require_whole(filter);
    require_native_only(filter);
  } catch (const std::invalid_argument& error) {
    sbx::fuzz::require_message(error.what());
  } catch (const sbx::SystemError& error) {
    sbx::fuzz::require_message(error.what());
  }
  return 0;
}
