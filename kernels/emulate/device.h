// The primitives of prelude.cuh for a CPU: the same names and semantics, each thread of the block
// as a fiber.
//
// Included by prelude.cuh under ESPARSA_EMULATE. In a collective operation the last thread to
// arrive does the work of all. A barrier or wait tells the machine its place in the sources, so
// that a test can disable it and check that the result breaks.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "machine.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE inline
#define KERNEL(name, threads, blocks) extern "C" void name
#define PARAMETER(type) const type&
#define UNROLL
#define SHARED_MEMORY(name) u8* const name = reinterpret_cast<u8*>(emulate::machine().shared())

#define threadIdx (emulate::machine().current().index)
#define blockIdx (emulate::machine().block())
#define gridDim (emulate::machine().grid())
#define blockDim (emulate::Dim3{emulate::machine().threads(), 1, 1})

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

namespace emulate {

constexpr unsigned WARP = 32;
constexpr u32 SHARED_BASE = 1024;
enum GroupKind { WARP_GROUP, WARPGROUP_GROUP };

/// A collective operation of all lanes of the caller's warp.
template <class Together>
void meet_warp(const char* what, void* argument, Together together) {
    Machine& own = machine();
    unsigned warp = own.current().number / WARP;
    unsigned lanes = own.threads() - warp * WARP < WARP ? own.threads() - warp * WARP : WARP;
    own.meet(WARP_GROUP, warp, warp * WARP, lanes, what, argument, together);
}

inline char* at_shared(u32 address, size_t bytes) {
    Machine& own = machine();
    size_t offset = size_t(address) - SHARED_BASE;
    if (address < SHARED_BASE || offset + bytes > own.shared_bytes()) own.fail("shared memory: an address beyond the " + std::to_string(own.shared_bytes()) + " bytes of the block: " + std::to_string(offset));
    return own.shared() + offset;
}

inline void complete(Thread::Copy& copy) {
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, 16 - copy.bytes);
}

template <class Number>
Number shuffle_by(const char* what, Number x, int lane) {
    struct Argument {
        Number x;
        int lane;
        Number result;
    } argument{x, lane, x};
    meet_warp(what, &argument, [](std::vector<void*>& all) {
        for (void* each : all) {
            auto own = static_cast<Argument*>(each);
            own->result = static_cast<Argument*>(all[unsigned(own->lane) % all.size()])->x;
        }
    });
    return argument.result;
}

}  // namespace emulate

DEVICE void sync_block(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulate::Machine& own = emulate::machine();
    if (own.counts(file, line, "sync_block")) own.barrier(0, own.threads(), file, line);
}
DEVICE void sync_some(int id, int threads, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulate::Machine& own = emulate::machine();
    if (own.counts(file, line, "sync_some")) own.barrier(unsigned(id), unsigned(threads), file, line);
}
DEVICE void sync_warp(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (emulate::machine().counts(file, line, "sync_warp")) emulate::meet_warp("sync_warp", &line, [](std::vector<void*>&) {});
}

DEVICE float shuffle(float x, int lane) { return emulate::shuffle_by("shuffle of f32", x, lane); }
DEVICE u32 shuffle(u32 x, int lane) { return emulate::shuffle_by("shuffle of u32", x, lane); }
DEVICE float shuffle_xor(float x, int lanes) { return emulate::shuffle_by("shuffle_xor of f32", x, int(threadIdx.x % 32) ^ lanes); }
DEVICE u32 shuffle_xor(u32 x, int lanes) { return emulate::shuffle_by("shuffle_xor of u32", x, int(threadIdx.x % 32) ^ lanes); }
DEVICE u32 ballot(bool is) {
    struct Argument {
        bool is;
        u32 result;
    } argument{is, 0};
    emulate::meet_warp("ballot", &argument, [](std::vector<void*>& all) {
        u32 bits = 0;
        for (size_t lane = 0; lane < all.size(); lane++) bits |= u32(static_cast<Argument*>(all[lane])->is) << lane;
        for (void* each : all) static_cast<Argument*>(each)->result = bits;
    });
    return argument.result;
}
DEVICE int count_ones(u32 bits) { return __builtin_popcount(bits); }

template <class Number>
DEVICE Number atomic_max_of(Number* to, Number x) {
    Number before = *to;
    if (x > before) *to = x;
    return before;
}
DEVICE u32 atomic_max(u32* to, u32 x) { return atomic_max_of(to, x); }
DEVICE u64 atomic_max(u64* to, u64 x) { return atomic_max_of(to, x); }
DEVICE u32 atomic_add(u32* to, u32 x) { return (*to += x) - x; }
DEVICE u64 atomic_add(u64* to, u64 x) { return (*to += x) - x; }
DEVICE u32 atomic_increment(u32* to, u32 last) {
    u32 before = *to;
    *to = before >= last ? 0 : before + 1;
    return before;
}

struct alignas(16) Words4 {
    u32 word[4];
};
DEVICE Words4 load_16(const void* from) {
    if (reinterpret_cast<uintptr_t>(from) % 16) emulate::machine().fail("load_16: an address that is no multiple of 16");
    Words4 x;
    std::memcpy(&x, from, 16);
    return x;
}

DEVICE u32 shared_address(const void* place) { return u32(static_cast<const char*>(place) - emulate::machine().shared()) + emulate::SHARED_BASE; }

DEVICE void copy_16(u32 to, const void* from, u32 bytes) {
    emulate::Machine& own = emulate::machine();
    if (to % 16 || (bytes && reinterpret_cast<uintptr_t>(from) % 16)) own.fail("copy_16: an address that is no multiple of 16");
    if (bytes > 16) own.fail("copy_16: more than 16 bytes");
    emulate::Thread::Copy copy{emulate::at_shared(to, 16), from, bytes};
    if (own.schedule().is_late())
        own.current().open.push_back(copy);
    else
        emulate::complete(copy);
}
DEVICE void copy_commit() {
    emulate::Thread& thread = emulate::machine().current();
    thread.groups.push_back(std::move(thread.open));
    thread.open.clear();
}
template <int N>
DEVICE void copy_wait(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulate::Machine& own = emulate::machine();
    if (!own.counts(file, line, "copy_wait")) return;
    auto& groups = own.current().groups;
    while (groups.size() > size_t(N)) {
        for (auto& copy : groups.front()) emulate::complete(copy);
        groups.erase(groups.begin());
    }
}

namespace emulate {

/// Rows of 8 16-bit elements from the addresses that the lanes give; lane l gets elements 2·(l mod
/// 4) and the next of row l / 4, or of column l / 4.
inline void load_matrices_of(const char* what, u32 (&r)[4], u32 address, bool is_transposed) {
    struct Argument {
        u32* r;
        const char* row;
        bool is_transposed;
    } argument{r, at_shared(address, 16), is_transposed};
    if (address % 16) machine().fail("load_matrices: an address that is no multiple of 16");
    meet_warp(what, &argument, [](std::vector<void*>& all) {
        u32 results[WARP][4];
        for (unsigned matrix = 0; matrix < 4; matrix++) {
            u16 numbers[8][8];
            for (unsigned row = 0; row < 8; row++) std::memcpy(numbers[row], static_cast<Argument*>(all[matrix * 8 + row])->row, 16);
            bool is_transposed = static_cast<Argument*>(all[0])->is_transposed;
            for (unsigned lane = 0; lane < WARP; lane++) {
                unsigned row = lane / 4, column = lane % 4 * 2;
                u16 low = is_transposed ? numbers[column][row] : numbers[row][column];
                u16 high = is_transposed ? numbers[column + 1][row] : numbers[row][column + 1];
                results[lane][matrix] = u32(low) | u32(high) << 16;
            }
        }
        for (unsigned lane = 0; lane < WARP; lane++) std::memcpy(static_cast<Argument*>(all[lane])->r, results[lane], 16);
    });
}

}  // namespace emulate

DEVICE void load_matrices(u32 (&r)[4], u32 address) { emulate::load_matrices_of("load_matrices", r, address, false); }
DEVICE void load_matrices_transposed(u32 (&r)[4], u32 address) { emulate::load_matrices_of("load_matrices_transposed", r, address, true); }

DEVICE void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    struct Argument {
        float* c;
        const u32* a;
        u32 b[2];
    } argument{c, a, {b0, b1}};
    emulate::meet_warp("multiply", &argument, [](std::vector<void*>& all) {
        float a[16][16], b[16][8], sums[16][8];
        for (unsigned lane = 0; lane < 32; lane++) {
            auto own = static_cast<Argument*>(all[lane]);
            unsigned group = lane / 4, pair = lane % 4 * 2;
            for (unsigned part = 0; part < 4; part++) {
                unsigned row = group + part % 2 * 8, column = pair + part / 2 * 8;
                a[row][column] = low_of(own->a[part]), a[row][column + 1] = high_of(own->a[part]);
            }
            for (unsigned part = 0; part < 2; part++) b[pair + part * 8][group] = low_of(own->b[part]), b[pair + part * 8 + 1][group] = high_of(own->b[part]);
            for (unsigned part = 0; part < 4; part++) sums[group + part / 2 * 8][pair + part % 2] = own->c[part];
        }
        for (unsigned row = 0; row < 16; row++)
            for (unsigned depth = 0; depth < 16; depth++)
                for (unsigned column = 0; column < 8; column++) sums[row][column] += a[row][depth] * b[depth][column];
        for (unsigned lane = 0; lane < 32; lane++)
            for (unsigned part = 0; part < 4; part++) static_cast<Argument*>(all[lane])->c[part] = sums[lane / 4 + part / 2 * 8][lane % 4 * 2 + part % 2];
    });
}
