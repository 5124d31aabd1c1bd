// The primitives of prelude.cuh for a CPU: the same names and semantics, each thread of the block
// as a fiber.
//
// Included by prelude.cuh under ESPARSA_EMULATE. Only what must be inline is here; the rest is in
// device.cpp, because the kernels are compiled with a call at each access to memory (watch.cpp),
// and the emulator itself is not. Places in the sources are passed along, so that messages can
// name them and tests can disable a barrier.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "now.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE inline
#define KERNEL(name, threads, blocks) extern "C" void name
#define PARAMETER(type) const type&
#define UNROLL
#define ROLLED
#define SHARED_MEMORY(name) u8* const name = reinterpret_cast<u8*>(emulate::now.shared)

#define threadIdx (emulate::now.thread)
#define blockIdx (emulate::now.block)
#define gridDim (emulate::now.grid)
#define blockDim (emulate::now.threads)

/// The place of the caller, as the last parameters of a primitive.
#define AT const char *file = __builtin_FILE(), int line = __builtin_LINE()

struct bf16 {
    u16 bits;
};

DEVICE u32 bits_of(float x) {
    u32 bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}
DEVICE float float_of(u32 bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
DEVICE float to_float(bf16 x) { return float_of(u32(x.bits) << 16); }
DEVICE bf16 to_bf16(float x) {
    u32 bits = bits_of(x);
    if (x != x) return {0x7fff};
    return {u16((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
DEVICE u32 pack(float low, float high) { return u32(to_bf16(low).bits) | u32(to_bf16(high).bits) << 16; }
DEVICE float low_of(u32 word) { return float_of(word << 16); }
DEVICE float high_of(u32 word) { return float_of(word & 0xffff0000u); }
DEVICE float exp2_fast(float x) { return std::exp2(x); }
DEVICE float reciprocal_fast(float x) { return 1 / x; }
DEVICE float max_or_nan(float x, float y) { return x != x || y != y ? float_of(0x7fffffff) : x > y ? x : y; }
DEVICE int recomputed(int x) { return x; }
DEVICE void keep_order() {}
DEVICE int count_ones(u32 bits) { return __builtin_popcount(bits); }

void sync_block(AT);
void sync_some(int id, int threads, AT);
void sync_warp(AT);

u32 shuffle(u32 x, int lane);
u32 shuffle_xor(u32 x, int lanes);
DEVICE float shuffle(float x, int lane) { return float_of(shuffle(bits_of(x), lane)); }
DEVICE float shuffle_xor(float x, int lanes) { return float_of(shuffle_xor(bits_of(x), lanes)); }
u32 ballot(bool is);

u32 atomic_max(u32* to, u32 x, AT);
u64 atomic_max(u64* to, u64 x, AT);
u32 atomic_add(u32* to, u32 x, AT);
u64 atomic_add(u64* to, u64 x, AT);
u32 atomic_increment(u32* to, u32 last, AT);

struct alignas(16) Words4 {
    u32 word[4];
};
Words4 load_16(const void* from, AT);

constexpr u32 SHARED_BASE = 1024;
DEVICE u32 shared_address(const void* place) { return u32(static_cast<const char*>(place) - emulate::now.shared) + SHARED_BASE; }

void copy_16(u32 to, const void* from, u32 bytes, AT);
void copy_commit();
namespace emulate {
void copy_wait(int groups, const char* file, int line);
}
template <int N>
DEVICE void copy_wait(AT) {
    emulate::copy_wait(N, file, line);
}

void load_matrices(u32 (&r)[4], u32 address, AT);
void load_matrices_transposed(u32 (&r)[4], u32 address, AT);
void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1);
