// What kernels read of the running thread, in thread-local memory that costs one instruction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulate {

using Kernel = void (*)(const void* parameters);

struct Dim3 {
    unsigned x = 1, y = 1, z = 1;
};

struct Now {
    Dim3 thread, block, grid, threads;
    char* shared = nullptr;
    /// Accesses to this many bytes from `shared` on are followed; 0 if no rule asks for it.
    size_t followed_bytes = 0;
    /// Accesses to global memory are counted.
    bool counts_sectors = false;
};

// This access needs room in the memory that glibc keeps for libraries loaded later: thread-local
// variables of this library must be small.
extern thread_local Now now __attribute__((tls_model("initial-exec")));

}  // namespace emulate
