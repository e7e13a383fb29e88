/* SPDX-License-Identifier: Apache-2.0
 *
 * clone3(2) for a child that runs `body` on a stack of its own and never returns: what no function
 * of the C library does. */
#pragma once

#include <linux/sched.h>
#include <stddef.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long clone_on_stack(struct clone_args* arguments, size_t size, void (*body)(void*),
                                  void* argument) {
  long result;
  register void (*child_body)(void*) __asm__("r12") = body;
  register void* child_argument __asm__("r13") = argument;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "ud2\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(arguments), "S"(size), "r"(child_body), "r"(child_argument)
      : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

static inline long clone_on_stack(struct clone_args* arguments, size_t size, void (*body)(void*),
                                  void* argument) {
  register long x8 __asm__("x8") = SYS_clone3;
  register long x0 __asm__("x0") = (long)arguments;
  register long x1 __asm__("x1") = (long)size;
  register void (*child_body)(void*) __asm__("x19") = body;
  register void* child_argument __asm__("x20") = argument;
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x30, xzr\n\t"
      "mov x0, x20\n\t"
      "blr x19\n\t"
      "brk #1\n\t"
      "1:\n\t"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(child_body), "r"(child_argument)
      : "memory");
  return x0;
}

#else
#error "libsandbox supports x86-64 and arm64"
#endif
