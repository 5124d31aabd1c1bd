// The primitives of hopper.cuh for a CPU; barriers and copies are in copies.cpp, warpgroups in
// warpgroups.cpp.
//
// What is asynchronous on the GPU completes immediately or as late as allowed, by schedule: a copy
// to shared memory when a thread waits at its barrier, a copy from shared memory when its thread
// waits for it, a product when its warp waits for the group.
#pragma once

#include "device.h"

void barrier_init(u32 barrier, u32 count, AT);
void barriers_fence(AT);
void barrier_arrive(u32 barrier, AT);
void barrier_expect(u32 barrier, u32 bytes, AT);
void barrier_wait(u32 barrier, int phase, AT);
void barrier_pace(u32 barrier, int phase, AT);

DEVICE void prefetch(const TensorMap*) {}
void tensor_copy(u32 to, const TensorMap* map, int x, int y, u32 barrier, AT);
void tensor_store(const TensorMap* map, int x, int y, u32 from, AT);
void tensor_store_commit();
void store_matrices(u32 address, const u32 (&r)[4], AT);
void shared_fence(AT);

namespace emulate {

void tensor_store_wait(int groups, const char* file, int line);
void increase_registers(unsigned count, const char* file, int line);
void decrease_registers(unsigned count, const char* file, int line);
void group_wait(int groups, const char* file, int line);
void group_multiply(float* c, unsigned columns, u64 a, u64 b, bool is_added, const char* file, int line);

}  // namespace emulate

template <int N>
DEVICE void tensor_store_wait(AT) {
    emulate::tensor_store_wait(N, file, line);
}

template <int N>
DEVICE void increase_registers(AT) {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
    emulate::increase_registers(N, file, line);
}
template <int N>
DEVICE void decrease_registers(AT) {
    static_assert(N % 8 == 0 && N >= 24 && N <= 256);
    emulate::decrease_registers(N, file, line);
}

void group_fence(AT);
void group_commit(AT);
template <int N>
DEVICE void group_wait(AT) {
    emulate::group_wait(N, file, line);
}
template <int COUNT>
DEVICE void group_hold(float (&)[COUNT]) {}
template <int N>
DEVICE void group_multiply(float (&c)[N / 2], u64 a, u64 b, bool is_added, AT) {
    static_assert(N % 8 == 0 && N >= 8 && N <= 256);
    emulate::group_multiply(c, N, a, b, is_added, file, line);
}
