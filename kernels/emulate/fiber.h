// One thread of a block as a fiber: its own stack and resume point. Switching costs about ten
// instructions on x86-64; elsewhere ucontext does it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace emulate {

constexpr size_t STACK_BYTES = 128 * 1024;

#ifdef __x86_64__

/// A suspended context; everything else is on its stack.
struct Context {
    void* stack_pointer = nullptr;
};

// Saves the callee-saved registers, switches stacks, and returns on the other one.
__attribute__((naked, noinline)) inline void switch_context(Context* /*from: rdi*/, Context* /*to: rsi*/) {
    asm volatile(
        "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "movq %rsp, (%rdi)\n movq (%rsi), %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}

/// A context that starts with `entry` on the given stack; `entry` never returns.
inline void begin_context(Context* context, char* stack, void (*entry)()) {
    uintptr_t top = (reinterpret_cast<uintptr_t>(stack) + STACK_BYTES) & ~uintptr_t(15);
    auto slots = reinterpret_cast<uintptr_t*>(top);
    // `ret` goes here, with the stack as after a call.
    slots[-2] = reinterpret_cast<uintptr_t>(entry);
    for (int slot = 3; slot <= 8; slot++) slots[-slot] = 0;
    context->stack_pointer = slots - 8;
}

#else

struct Context {
    ucontext_t context;
};

inline void switch_context(Context* from, Context* to) { swapcontext(&from->context, &to->context); }

inline void begin_context(Context* context, char* stack, void (*entry)()) {
    getcontext(&context->context);
    context->context.uc_stack.ss_sp = stack;
    context->context.uc_stack.ss_size = STACK_BYTES;
    context->context.uc_link = nullptr;
    makecontext(&context->context, entry, 0);
}

#endif

/// The stack of one fiber, reused by the same thread of the next block.
class Stack {
  public:
    Stack() : memory_(static_cast<char*>(std::malloc(STACK_BYTES))) {
        if (!memory_) throw std::bad_alloc();
    }
    ~Stack() { std::free(memory_); }
    Stack(Stack&& other) noexcept : memory_(other.memory_) { other.memory_ = nullptr; }
    Stack(const Stack&) = delete;
    char* memory() const { return memory_; }

  private:
    char* memory_;
};

}  // namespace emulate
