// The features of compute capability 9.0 (Hopper) beyond prelude.cuh: tensor copies (TMA),
// transaction barriers in shared memory, products of warpgroups (wgmma).
//
// A tensor copy moves a box of a matrix (described by a TensorMap) between global and shared
// memory; one thread issues it and it runs asynchronously. A barrier is 8 bytes of shared memory.
// It goes through phases: a phase ends when the expected number of arrivals and all announced bytes
// have come. A warpgroup is four warps, the first of which has a number that is a multiple of 4; it
// multiplies tiles in shared memory asynchronously.
//
// Copies and products access memory through another proxy than loads and stores of threads: they
// see what threads wrote only after shared_fence().
//
// Tiles have the 128-byte swizzle of tensor copies: rows of 64 bf16 (128 bytes), eight rows form an
// atom of 1,024 bytes, aligned to 1,024; within row r of an atom, the 16-byte piece i is stored at
// place i XOR r. So one column of eight rows spreads over different banks.
#pragma once
#include "prelude.cuh"
#include "guard.cuh"
#include "parameters.cuh"

/// The offset in bytes of a 16-byte piece of a row of such a tile.
DEVICE u32 swizzled(u32 row, u32 piece) { return row * 128 + ((piece ^ (row & 7)) << 4); }

/// The matrix descriptor of a tile in shared memory for group_multiply: its address, 1,024 bytes
/// from eight rows to the next eight, 128-byte swizzle. The leading offset is unused for this
/// layout and is 1. Advancing by sixteen columns adds 32 bytes, which is 2 in the descriptor.
DEVICE u64 descriptor(u32 shared) { return u64((shared & 0x3ffff) >> 4) | u64(1) << 16 | u64(1024 >> 4) << 32 | u64(1) << 62; }

#ifdef ESPARSA_EMULATE
#include "emulate/hopper.h"
#else

/// Initializes a barrier whose phases expect `count` arrivals. barriers_fence() and a barrier of
/// the block must follow.
DEVICE void barrier_init(u32 barrier, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory"); }
/// Makes initialized barriers visible to copies and other threads.
DEVICE void barriers_fence() { asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory"); }
DEVICE void barrier_arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }
/// Arrives, and announces bytes that tensor copies will bring in this phase.
DEVICE void barrier_expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
/// Waits until a phase has ended, counted from 0; phase -1 of a new barrier has. The GPU compares
/// parities only: at most one phase may have ended since that one.
DEVICE void barrier_wait(u32 barrier, int phase) {
#ifdef GUARD
    auto has_ended = [&] {
        u32 ended;
        asm volatile(
            "{\n.reg .pred ended;\n"
            "mbarrier.test_wait.parity.shared::cta.b64 ended, [%1], %2;\n"
            "selp.u32 %0, 1, 0, ended;\n}"
            : "=r"(ended)
            : "r"(barrier), "r"(phase & 1)
            : "memory");
        return ended != 0;
    };
    wait_guarded(has_ended, [] { asm volatile("trap;"); });
#else
    asm volatile(
        "{\n.reg .pred ended;\n"
        "again:\nmbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
        "@ended bra done;\nbra again;\ndone:\n}" ::"r"(barrier), "r"(phase & 1)
        : "memory");
#endif
}
/// Waits likewise, but only to spread work over time: results do not depend on it.
DEVICE void barrier_pace(u32 barrier, int phase) { barrier_wait(barrier, phase); }

/// Prefetches a tensor map.
DEVICE void prefetch(const TensorMap* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }
/// Copies the box that starts at column x, row y to shared memory, filled with zeros outside the
/// matrix. All bytes of the box count at the barrier.
DEVICE void tensor_copy(u32 to, const TensorMap* map, int x, int y, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(map), "r"(x),
                 "r"(y), "r"(barrier)
                 : "memory");
}
/// Copies a box from shared memory to the matrix, except what is outside. tensor_store_commit forms
/// a group of the thread's stores; tensor_store_wait returns when all but the last N groups have
/// read their shared memory.
DEVICE void tensor_store(const TensorMap* map, int x, int y, u32 from) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(x), "r"(y), "r"(from) : "memory");
}
DEVICE void tensor_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int N>
DEVICE void tensor_store_wait() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
/// Stores four 8 × 8 matrices of 16-bit elements, in the layout in which load_matrices loads them.
DEVICE void store_matrices(u32 address, const u32 (&r)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
}
/// Orders the thread's accesses to shared memory before later accesses by copies and products.
DEVICE void shared_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// Changes the number of registers per thread to N, for all warps of the warpgroup. The block's
/// total must not exceed what it was launched with.
template <int N>
DEVICE void increase_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N>
DEVICE void decrease_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

// Products of a warpgroup. group_fence comes before the first product of a group that accumulates
// into registers which threads have touched. group_commit forms a group; group_wait<N> returns when
// all but the last N groups are complete. Until then the registers belong to the product.
DEVICE void group_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void group_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
DEVICE void group_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
/// Keeps the compiler from moving uses of c across this point.
template <int COUNT>
DEVICE void group_hold(float (&c)[COUNT]) {
    UNROLL
    for (int i = 0; i < COUNT; i++) asm volatile("" : "+f"(c[i])::"memory");
}

// clang-format off
#define NAMES_32 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES_64 NAMES_32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define NAMES_96 NAMES_64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define NAMES_128 NAMES_96 ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111" \
    ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define FOUR(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define SIXTEEN(i) FOUR(i), FOUR(i + 4), FOUR(i + 8), FOUR(i + 12)
#define THIRTY_TWO(i) SIXTEEN(i), SIXTEEN(i + 16)
#define GROUP_MULTIPLY(n, names, a_name, b_name, add_name, ...)                                                                  \
    asm volatile("{\n.reg .pred is_sum;\nsetp.ne.b32 is_sum, " add_name ", 0;\n"                                                 \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" names "}, " a_name ", " b_name ", is_sum, 1, 1, 0, 0;\n}" \
                 : __VA_ARGS__ : "l"(a), "l"(b), "r"(int(is_added)))
// clang-format on

/// c += a · bᵀ, or c = a · bᵀ unless `is_added`: a is 64 × 16, b N × 16, both in shared memory with
/// rows of 64 columns. Warp w of the warpgroup has rows 16·w to 16·w + 15 of c; with g = l / 4 and
/// t = l mod 4, its lane l has for each i: c[4i], c[4i + 1] at row g, columns 8i + 2t and the next;
/// c[4i + 2], c[4i + 3] at row g + 8.
template <int N>
DEVICE void group_multiply(float (&c)[N / 2], u64 a, u64 b, bool is_added) {
    static_assert(N == 64 || N == 128 || N == 192 || N == 256, "widths that are written out");
    if constexpr (N == 64) GROUP_MULTIPLY(64, NAMES_32, "%32", "%33", "%34", THIRTY_TWO(0));
    if constexpr (N == 128) GROUP_MULTIPLY(128, NAMES_64, "%64", "%65", "%66", THIRTY_TWO(0), THIRTY_TWO(32));
    if constexpr (N == 192) GROUP_MULTIPLY(192, NAMES_96, "%96", "%97", "%98", THIRTY_TWO(0), THIRTY_TWO(32), THIRTY_TWO(64));
    if constexpr (N == 256) GROUP_MULTIPLY(256, NAMES_128, "%128", "%129", "%130", THIRTY_TWO(0), THIRTY_TWO(32), THIRTY_TWO(64), THIRTY_TWO(96));
}

#undef NAMES_32
#undef NAMES_64
#undef NAMES_96
#undef NAMES_128
#undef FOUR
#undef SIXTEEN
#undef THIRTY_TWO
#undef GROUP_MULTIPLY

#endif
