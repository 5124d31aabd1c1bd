// Top-k selection (radix select): a block counts keys by eleven bits at a time, from the most
// significant, and continues in the bin that contains the k-th largest.
//
// Keys are u32 or u64; each pass visits them all and counts, in shared memory, those that share the
// prefix found so far.
#pragma once
#include "prelude.cuh"

/// The lanes below this one.
DEVICE u32 lanes_before() { return (1u << (threadIdx.x % 32)) - 1; }

/// The inclusive prefix sum of x over lanes.
DEVICE u32 sum_to_lane(u32 x) {
    int lane = threadIdx.x % 32;
    UNROLL
    for (int apart = 1; apart < 32; apart *= 2) {
        u32 before = shuffle(x, lane - apart);
        if (lane >= apart) x += before;
    }
    return x;
}

constexpr int SELECT_BITS = 11, SELECT_BINS = 1 << SELECT_BITS;
/// Words of shared memory of a selection: the bins, and the result of the warp that searches them.
constexpr int SELECT_WORDS = SELECT_BINS + 4;

/// A bin: its number, the keys in it, and the keys in higher bins.
struct Bin {
    u32 number, within, above;
};

/// Finds, by one warp, the bin with the `wanted`-th largest key, if there are that many keys. First
/// each lane sums 64 bins, lane 0 the highest; then all lanes search the bins of one lane.
DEVICE bool find_bin(Bin& bin, const u32* bins, u32 wanted) {
    int lane = threadIdx.x % 32;
    u32 sum = 0;
    // Rotated, so that lanes do not conflict in a bank.
    for (int i = 0; i < 64; i++) sum += bins[64 * (31 - lane) + (i + lane) % 64];
    u32 running = sum_to_lane(sum), reached = ballot(running >= wanted);
    if (!reached) return false;
    int first = count_ones((reached & (0 - reached)) - 1);
    u32 above = shuffle(running - sum, first), top = 64 * (31 - first) + 63;

    u32 upper = bins[top - 2 * lane], lower = bins[top - 2 * lane - 1];
    running = above + sum_to_lane(upper + lower);
    reached = ballot(running >= wanted);
    first = count_ones((reached & (0 - reached)) - 1);
    above = shuffle(running - upper - lower, first), upper = shuffle(upper, first), lower = shuffle(lower, first);
    if (above + upper >= wanted) bin = {top - 2 * first, upper, above};
    else bin = {top - 2 * first - 1, lower, above + upper};
    return true;
}

/// The result of a selection: `count` keys are at least `min_key`, of which `equal` are `min_key`
/// itself (if all bits were examined). Not found if there are fewer keys than wanted.
template <class Key>
struct Selected {
    bool is_found;
    Key min_key;
    u32 count, equal;
};

/// Selects the `wanted` largest keys, and more if they are at most `most` or tied. `visit(count)`
/// calls count(key) for every key of the thread; all THREADS of the block take part.
template <class Key, int THREADS, class Visit>
DEVICE Selected<Key> select_top_k(u32* shared, u32 wanted, u32 most, const Visit& visit) {
    Key min_key = 0;
    u32 above = 0;
    for (int bits = 8 * sizeof(Key); true;) {
        int shift = max_of(bits - SELECT_BITS, 0);
        u32 used = 1u << (bits - shift);
        for (u32 i = threadIdx.x; i < SELECT_BINS; i += THREADS) shared[i] = 0;
        sync_block();
        visit([&](Key key) {
            Key number = (key - min_key) >> shift;
            if (key >= min_key && number < used) atomic_add(&shared[u32(number)], 1u);
        });
        sync_block();
        u32* found = shared + SELECT_BINS;
        if (threadIdx.x < 32) {
            Bin bin = {0, 0, 0};
            bool is_found = find_bin(bin, shared, wanted - above);
            if (threadIdx.x == 0) found[0] = is_found, found[1] = bin.number, found[2] = bin.within, found[3] = bin.above;
        }
        sync_block();
        if (!found[0]) return {false, 0, 0, 0};
        min_key += Key(found[1]) << shift;
        above += found[3];
        if (above + found[2] <= most || shift == 0) return {true, min_key, above + found[2], found[2]};
        bits = shift;
    }
}
