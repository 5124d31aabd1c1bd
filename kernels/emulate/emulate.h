// Launches a kernel on the emulated GPU. Used by the library that tests load (library.cpp), or
// included by a program together with the kernels it runs.
#pragma once

#include "../prelude.cuh"

namespace emulate {

/// Runs a kernel; returns an error message, empty on success.
inline std::string try_launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule) {
    if (threads == 0 || threads > 1024) return "a block of " + std::to_string(threads) + " threads: expected 1 to 1024";
    if (shared_bytes > SharedMemory::MAX_BYTES - 1024) return "a block with " + std::to_string(shared_bytes) + " bytes of shared memory: expected 227 KiB at most";
    if (grid.y > 65535 || grid.z > 65535) return "a grid of more than 65,535 blocks in y or z";
    Faults::watch();
    Faults::Clock clock;
    Faults::has_timed_out = false;
    sigjmp_buf back;
    if (sigsetjmp(back, 1)) {
        Faults::back = nullptr;
        Dim3 block = machine().block();
        char message[160];
        if (Faults::has_timed_out) {
            std::snprintf(message, sizeof message, "no end after %d seconds, in thread %u of block (%u, %u, %u)", Faults::SECONDS, machine().current().number, block.x, block.y, block.z);
            return message;
        }
        std::snprintf(message, sizeof message, "memory that is not the kernel's was touched at %p, by thread %u of block (%u, %u, %u)", Faults::touched, machine().current().number, block.x, block.y, block.z);
        return message;
    }
    Faults::back = &back;
    std::string message;
    try {
        machine().launch(kernel, grid, threads, shared_bytes, parameters, schedule);
    } catch (const Failure& failure) {
        message = failure.message;
    }
    Faults::back = nullptr;
    return message;
}

/// The same for programs: prints the error and exits.
inline void launch(Kernel kernel, Dim3 grid, unsigned threads, size_t shared_bytes, const void* parameters, uint64_t schedule = 0) {
    std::string message = try_launch(kernel, grid, threads, shared_bytes, parameters, schedule);
    if (message.empty()) return;
    std::fprintf(stderr, "%s\n", message.c_str());
    std::exit(1);
}

}  // namespace emulate
