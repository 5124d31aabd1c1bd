// The primitives of all kernels: types, bf16, warp exchange, asynchronous copies, tensor cores.
//
// This is the GPU side: each function is one instruction or a few. Under ESPARSA_EMULATE the same
// names come from emulate/device.h, which runs the same sources on a CPU. Nothing here needs a
// header of the CUDA toolkit, so that NVRTC alone compiles it.
#pragma once

#ifdef ESPARSA_EMULATE
#include "emulate/device.h"
#else

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE __device__ __forceinline__
/// A kernel with blocks of `threads`, at least `blocks` of which fit on a multiprocessor. Its only
/// parameter is a structure of parameters.cuh: `KERNEL(pool, 256, 4)(PARAMETER(PoolParameters) p) {
/// ... }`.
#define KERNEL(name, threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks) name
#define PARAMETER(type) const __grid_constant__ type
#define UNROLL _Pragma("unroll")
/// Prevents unrolling of a loop with a long body.
#define ROLLED _Pragma("unroll 1")
/// The dynamic shared memory of the block, whose size the launch sets.
#define SHARED_MEMORY(name) extern __shared__ __align__(1024) u8 name[]

/// The upper half of an f32.
struct bf16 {
    u16 bits;
};

DEVICE float to_float(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }

/// Rounds to nearest, ties to even.
DEVICE bf16 to_bf16(float x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

/// Packs two bf16 into one word: `low` at the lower address.
DEVICE u32 pack(float low, float high) {
    u32 word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
DEVICE float low_of(u32 word) { return __uint_as_float(word << 16); }
DEVICE float high_of(u32 word) { return __uint_as_float(word & 0xffff0000u); }

/// 2^x, to about 22 bits.
DEVICE float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// 1 / x, to about 23 bits; 0 for infinity.
DEVICE float reciprocal_fast(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/// The maximum, or NaN if one is NaN (fmaxf returns the other).
DEVICE float max_or_nan(float x, float y) {
    float z;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
}

/// x, of which the compiler knows nothing: what is computed from it is computed again in each round
/// of a loop, instead of once for all rounds in registers.
DEVICE int recomputed(int x) {
    asm volatile("" : "+r"(x));
    return x;
}
/// Loads and stores are not moved across this, which limits how many are in flight, in registers.
DEVICE void keep_order() { asm volatile("" ::: "memory"); }

DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }

// Barriers.
DEVICE void sync_block() { __syncthreads(); }
/// Barrier `id` (1 to 15) among `threads` threads of the block, a multiple of 32.
DEVICE void sync_some(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }
DEVICE void sync_warp() { __syncwarp(); }

// Exchange among the 32 lanes of a warp, all of which must take part.
DEVICE float shuffle_xor(float x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
DEVICE u32 shuffle_xor(u32 x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
DEVICE float shuffle(float x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
DEVICE u32 shuffle(u32 x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
DEVICE u32 ballot(bool is) { return __ballot_sync(0xffffffffu, is); }
DEVICE int count_ones(u32 bits) { return __popc(bits); }

// Atomics; they return the previous value.
DEVICE u32 atomic_max(u32* to, u32 x) { return atomicMax(to, x); }
DEVICE u64 atomic_max(u64* to, u64 x) { return atomicMax(to, x); }
DEVICE u32 atomic_add(u32* to, u32 x) { return atomicAdd(to, x); }
DEVICE u64 atomic_add(u64* to, u64 x) { return atomicAdd(to, x); }
/// Adds 1, or stores 0 where `last` is reached.
DEVICE u32 atomic_increment(u32* to, u32 last) { return atomicInc(to, last); }

/// 16 bytes at a 16-byte aligned address.
struct alignas(16) Words4 {
    u32 word[4];
};
DEVICE Words4 load_16(const void* from) {
    Words4 x;
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x.word[0]), "=r"(x.word[1]), "=r"(x.word[2]), "=r"(x.word[3]) : "l"(from));
    return x;
}

/// The address of a place in shared memory, as the instructions below take it.
DEVICE u32 shared_address(const void* place) { return u32(__cvta_generic_to_shared(place)); }

// Asynchronous copies from global to shared memory (cp.async), 16 bytes each, of which `bytes` are
// read and the rest are zeros. Both addresses are multiples of 16. copy_commit forms a group;
// copy_wait<N> returns when all but the last N groups of the thread have arrived.
DEVICE void copy_16(u32 to, const void* from, u32 bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
DEVICE void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Loads four (two) 8 × 8 matrices of 16-bit elements from shared memory. Lanes 8·i to 8·i + 7 give
// the addresses of the rows of matrix i; lane l gets of each the two elements at row l / 4, columns
// 2·(l mod 4) and the next. The transposed forms swap rows and columns.
DEVICE void load_matrices(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
DEVICE void load_matrices_transposed(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

/// c += a · b on the tensor cores of a warp: a is 16 × 16, b 16 × 8, c 16 × 8 in f32. With g = lane
/// / 4 and t = lane mod 4: a: [0] row g, columns 2t; [1] row g + 8; [2] row g, columns 2t + 8; [3]
/// row g + 8, columns 2t + 8. b: b0 rows 2t, column g; b1 rows 2t + 8. c: [0], [1] row g, columns
/// 2t, 2t + 1; [2], [3] row g + 8.
DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif

// The rest is common to GPU and emulator.

#define INFINITY_F32 (float_of(0x7f800000u))

DEVICE int divide_up(int x, int by) { return (x + by - 1) / by; }
DEVICE int min_of(int x, int y) { return x < y ? x : y; }
DEVICE int max_of(int x, int y) { return x > y ? x : y; }

DEVICE float sum_of_warp(float x) {
    UNROLL
    for (int lanes = 16; lanes > 0; lanes /= 2) x += shuffle_xor(x, lanes);
    return x;
}
DEVICE float max_of_warp(float x) {
    UNROLL
    for (int lanes = 16; lanes > 0; lanes /= 2) x = fmaxf(x, shuffle_xor(x, lanes));
    return x;
}
