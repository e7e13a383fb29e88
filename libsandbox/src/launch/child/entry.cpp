// SPDX-License-Identifier: Apache-2.0
//
// Where the kernel enters the init or the keeper, and the functions that a compiler may call
// without being asked.
#include <cstddef>

namespace sbx::child {
[[noreturn]] void image_main(const long* stack) noexcept;
}

extern "C" {

void* memcpy(void* to, const void* from, std::size_t size) noexcept;
void* memset(void* to, int value, std::size_t size) noexcept;

void* memcpy(void* to, const void* from, std::size_t size) noexcept {
  auto* target = static_cast<volatile char*>(to);
  const auto* source = static_cast<const char*>(from);
  for (std::size_t i = 0; i < size; ++i) target[i] = source[i];
  return to;
}

void* memset(void* to, int value, std::size_t size) noexcept {
  auto* target = static_cast<volatile char*>(to);
  for (std::size_t i = 0; i < size; ++i) target[i] = static_cast<char>(value);
  return to;
}

[[noreturn]] __attribute__((used)) void sbx_image_entry(const long* stack) {
  sbx::child::image_main(stack);
}

#if defined(__x86_64__)
asm(".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call sbx_image_entry\n");
#elif defined(__aarch64__)
asm(".globl _start\n"
    "_start:\n"
    "  mov x29, xzr\n"
    "  mov x30, xzr\n"
    "  mov x0, sp\n"
    "  bl sbx_image_entry\n");
#endif
}
