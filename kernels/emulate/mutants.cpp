// Small kernels, each right for mutant 0 and wrong in one way for the others, which only a rule of
// the emulator finds: their results are right under some schedule. src/backend/cuda/tests/rules.rs
// says which rule and how.
#include "../hopper.cuh"

struct MutantParameters {
    /// A matrix of 64 × 64 ones.
    TensorMap map;
    u32* out;
    /// The first of its elements.
    const u32* ones;
    int mutant;
};

constexpr int TILE_BYTES = 64 * 128;
constexpr u32 ONES = 0x3f803f80;

/// Writes two tiles of ones, and makes them visible to products and copies.
DEVICE void write_tiles(u8* memory, int mutant) {
    if (mutant == 2) shared_fence();  // before the writes instead of after
    for (int i = threadIdx.x; i < 2 * TILE_BYTES / 4; i += 128) reinterpret_cast<u32*>(memory)[i] = ONES;
    bool is_fencing = mutant == 3 ? threadIdx.x % 32 == 0 : mutant != 1 && mutant != 2;
    if (is_fencing) shared_fence();
    sync_block();
}

/// out[thread] = 64: a product of 64 × 64 ones.
DEVICE void multiply_ones(u8* memory, u32* out, int mutant, int touches) {
    u64 a = descriptor(shared_address(memory)), b = descriptor(shared_address(memory + TILE_BYTES));
    bool is_last_warp = threadIdx.x / 32 == 3;
    float c[32] = {}, before = 0;
    group_fence();
    for (int part = 0; part < 4; part++) {
        u64 of_b = b + (mutant == 1 && is_last_warp ? 2 * (part ^ 1) : 2 * part);
        bool is_added = part > 0 || (mutant == 2 && is_last_warp);
        group_multiply<64>(c, a + 2 * part, of_b, is_added);
    }
    group_commit();
    if (mutant == 3 && is_last_warp) group_commit();
    if (touches == 1) before = c[0];
    if (touches == 2) c[0] = 3;
    group_wait<0>();
    out[threadIdx.x] = bits_of(c[0] + before);
}

// Warpgroups 1 and 2 get the registers that warpgroup 0 gives up; 1: more than those; 2: although it
// keeps its own.
KERNEL(mutant_registers, 384, 1)(PARAMETER(MutantParameters) p) {
    if (threadIdx.x >= 128 && p.mutant == 1) increase_registers<240>();
    else if (threadIdx.x >= 128) increase_registers<232>();
    else if (p.mutant != 2) decrease_registers<40>();
    p.out[threadIdx.x % 128] = bits_of(64.0f);
}

// 1: a warp with another descriptor; 2: with another predicate; 3: with one group more.
KERNEL(mutant_warpgroup, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    write_tiles(memory, 0);
    multiply_ones(memory, p.out, p.mutant, 0);
}

// A product reads what was written without a fence (1), fenced before (2), by other lanes (3).
KERNEL(mutant_product_proxy, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    write_tiles(memory, p.mutant);
    multiply_ones(memory, p.out, 0, 0);
}

// The same for a tensor store.
KERNEL(mutant_store_proxy, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    write_tiles(memory, p.mutant);
    if (threadIdx.x == 0) {
        tensor_store(&p.map, 0, 0, shared_address(memory));
        tensor_store_commit();
        tensor_store_wait<0>();
    }
    p.out[threadIdx.x] = bits_of(64.0f);
}

// A tile is filled by matrix stores, and stored as a tensor. 1: without a fence; 2: a lane reads what
// others wrote without a barrier.
KERNEL(mutant_matrices, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    u32 ones[4] = {ONES, ONES, ONES, ONES};
    // A lane gives the addresses of four rows, and reads the first word of the last, which another has.
    u8* rows = memory + 64 * threadIdx.x;
    for (int i = 0; i < 4; i++) store_matrices(shared_address(rows + 16 * i), ones);
    if (p.mutant != 1) shared_fence();
    if (p.mutant != 2) sync_warp();
    float one = low_of(*reinterpret_cast<u32*>(rows + 48));
    sync_block();
    if (threadIdx.x == 0) {
        tensor_store(&p.map, 0, 0, shared_address(memory));
        tensor_store_commit();
        tensor_store_wait<0>();
    }
    p.out[threadIdx.x] = bits_of(64 * one);
}

// A thread writes what all read behind a barrier; 1: they only pace themselves by it.
KERNEL(mutant_pace, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    u32 barrier = shared_address(memory);
    u32* word = reinterpret_cast<u32*>(memory + 64);
    if (threadIdx.x == 0) {
        barrier_init(barrier, 1);
        barriers_fence();
    }
    sync_block();
    if (threadIdx.x == 127) {
        *word = ONES;
        barrier_arrive(barrier);
    }
    if (p.mutant == 1) barrier_pace(barrier, 0);
    else barrier_wait(barrier, 0);
    p.out[threadIdx.x] = bits_of(64 * low_of(*word));
}

// A tensor copy; 1: its barrier was not fenced; 2: a thread does not wait for it; 3: more bytes are
// announced than a barrier counts.
KERNEL(mutant_copy, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    u32 barrier = shared_address(memory + 2 * TILE_BYTES);
    if (threadIdx.x == 0) {
        barrier_init(barrier, 1);
        if (p.mutant != 1) barriers_fence();
    }
    sync_block();
    if (threadIdx.x == 0) {
        barrier_expect(barrier, p.mutant == 3 ? 1 << 20 : TILE_BYTES);
        tensor_copy(shared_address(memory), &p.map, 0, 0, barrier);
    }
    if (p.mutant != 2 || threadIdx.x != 77) barrier_wait(barrier, 0);
    p.out[threadIdx.x] = bits_of(64 * to_float(reinterpret_cast<bf16*>(memory)[threadIdx.x]));
}

// Accumulators are read (1) or written (2) while a product owns them.
KERNEL(mutant_accumulators, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    write_tiles(memory, 0);
    multiply_ones(memory, p.out, 0, p.mutant);
}

// Neighbours exchange numbers. 1: without a barrier before the reads; 2: without one before the
// second writes; 3: by an asynchronous copy that is not waited for; 4: through atomics that are read
// without a barrier.
KERNEL(mutant_exchange, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    u32* words = reinterpret_cast<u32*>(memory);
    bool is_atomic = p.mutant == 4;
    // The thread that the first barrier lets through first asks nobody.
    int before = threadIdx.x == 0 || (is_atomic && threadIdx.x == 127) ? threadIdx.x : threadIdx.x - 1;
    words[threadIdx.x] = is_atomic ? 0 : 30;
    if (is_atomic) sync_block();
    if (is_atomic) atomic_add(&words[threadIdx.x], 30);
    if (p.mutant != 1 && !is_atomic) sync_block();
    u32 sum = words[before];
    if (p.mutant != 2) sync_block();
    if (threadIdx.x / 32 == 1) words[threadIdx.x] = 4;
    sync_block();
    sum += words[before] == (before / 32 == 1 ? 4 : 30) ? 4 : 5;
    u32 copied = shared_address(memory + 1024 + 16 * threadIdx.x);
    copy_16(copied, p.out, 0);
    copy_commit();
    if (p.mutant != 3) copy_wait<0>();
    sum += reinterpret_cast<u32*>(memory + 1024 + 16 * threadIdx.x)[0] + 30;
    p.out[threadIdx.x] = bits_of(float(sum));
}

// A wait for a phase of which too many have passed (1), or that comes after the next (2).
KERNEL(mutant_phase, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    u32 barrier = shared_address(memory);
    if (threadIdx.x == 0) {
        barrier_init(barrier, 1);
        barriers_fence();
        for (int phase = 0; phase < (p.mutant == 2 ? 0 : 3); phase++) barrier_arrive(barrier);
    }
    sync_block();
    barrier_wait(barrier, p.mutant == 1 ? 0 : p.mutant == 2 ? 1 : 2);
    p.out[threadIdx.x] = bits_of(64.0f);
}

// Every block of a grid of 64 adds one. 1: not atomically.
KERNEL(mutant_blocks, 128, 1)(PARAMETER(MutantParameters) p) {
    float sum = float_of(p.out[threadIdx.x]) + 1;
    if (p.mutant == 1) sync_block();
    else sum = float_of(p.out[threadIdx.x]) + 1;
    p.out[threadIdx.x] = bits_of(sum);
}

// A copy of nothing from an address that the GPU would refuse.
KERNEL(mutant_alignment, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    copy_16(shared_address(memory + 16 * threadIdx.x), p.out + p.mutant, 0);
    copy_commit();
    copy_wait<0>();
    p.out[threadIdx.x] = bits_of(64.0f);
}

// A warp reads columns instead of rows of 32 words (1), of shared and of global memory.
KERNEL(mutant_traffic, 128, 1)(PARAMETER(MutantParameters) p) {
    SHARED_MEMORY(memory);
    int place = p.mutant == 1 ? threadIdx.x % 32 * 32 : threadIdx.x % 32;
    reinterpret_cast<u32*>(memory)[place] = ONES;
    u32 ones = p.ones[place];
    sync_block();
    p.out[threadIdx.x] = bits_of(64 * low_of(ones));
}
