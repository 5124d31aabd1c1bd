// Exact k nearest neighbors, tile by tile: the scores of a tile of vectors (computed by
// product_tn_f32) are merged into the top k so far.
//
// In: scores[query][count] of the vectors first to first + count - 1, f32 without padding; for each
// query and part the top k so far with their ids, if there are any.
// Out: the top k of both in descending order; the lower id wins a tie, independently of the order
// of tiles. Unused places have -infinity and id 0xffffffff. NaN counts as -infinity. k is 1 to
// 1,024.
//
// Each block takes a query and one of gridDim.y equal parts of every tile, and keeps the top k of
// this part; the host merges the lists of a query. Score and id form one key, so that no two keys
// are equal. Keys above
// the current k-th are appended to the list in shared memory and sorted with it (bitonic sort); if
// they are too many, as in the first tile, a selection (select.cuh) first finds which to take.
// 512 threads, grid queries × parts, shared memory 8 · 2,048 + 4 · SELECT_WORDS + 4 = 24,596 bytes.
#include "parameters.cuh"
#include "select.cuh"

constexpr int NEAREST_THREADS = 512;
/// Keys in shared memory: twice the maximum k, and a power of two.
constexpr int MAX_KEYS = 2048;
constexpr int SCORES_IN_FLIGHT = 4;

/// Ascending in the score and descending in the id.
DEVICE u64 key_of(float score, u32 id) {
    u32 bits = bits_of(score == score ? score + 0.0f : -INFINITY_F32);  // + 0 turns -0 into 0
    return u64(bits & 0x80000000u ? ~bits : bits | 0x80000000u) << 32 | u32(~id);
}
DEVICE float score_of(u64 key) {
    u32 bits = u32(key >> 32);
    return float_of(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}
DEVICE u32 id_of(u64 key) { return ~u32(key); }
/// No vector: lower than any key.
DEVICE u64 no_key() { return key_of(-INFINITY_F32, 0xffffffffu); }

/// Calls found(key) for all scores of the block's part of the tile, 32 consecutive ones per warp;
/// lanes beyond the end get no_key.
template <class Found>
DEVICE void walk_scores(const NearestParameters& p, const Found& found) {
    const float* scores = p.scores + i64(blockIdx.x) * p.count;
    int begin = i64(p.count) * blockIdx.y / gridDim.y, end = i64(p.count) * (blockIdx.y + 1) / gridDim.y;
    for (int first = begin + threadIdx.x / 32 * 32; first < end; first += NEAREST_THREADS * SCORES_IN_FLIGHT) {
        float loaded[SCORES_IN_FLIGHT];
        UNROLL
        for (int i = 0; i < SCORES_IN_FLIGHT; i++) {
            int place = first + i * NEAREST_THREADS + threadIdx.x % 32;
            loaded[i] = place < end ? scores[place] : 0;
        }
        UNROLL
        for (int i = 0; i < SCORES_IN_FLIGHT; i++) {
            int place = first + i * NEAREST_THREADS + threadIdx.x % 32;
            found(place < end ? key_of(loaded[i], p.first + place) : no_key());
        }
    }
}

/// Stores up to `room` keys above `bound`, in any order; `counter`, which starts at 0, counts all
/// of them.
DEVICE void collect(const NearestParameters& p, u64* to, u32 room, u32* counter, u64 bound) {
    walk_scores(p, [&](u64 key) {
        u32 ones = ballot(key > bound);
        if (!ones) return;
        u32 place = threadIdx.x % 32 == 0 ? atomic_add(counter, u32(count_ones(ones))) : 0;
        place = shuffle(place, 0) + count_ones(ones & lanes_before());
        if (key > bound && place < room) to[place] = key;
    });
}

/// Sorts `count` keys, a power of two, in descending order.
DEVICE void sort_falling(u64* keys, int count) {
    for (int span = 2; span <= count; span *= 2) {
        for (int stride = span / 2; stride > 0; stride /= 2) {
            sync_block();
            for (int i = threadIdx.x; i < count / 2; i += NEAREST_THREADS) {
                int left = 2 * i - i % stride;
                u64 x = keys[left], y = keys[left + stride];
                bool is_falling = (left & span) == 0;
                if ((x < y) == is_falling) keys[left] = y, keys[left + stride] = x;
            }
        }
    }
}

KERNEL(nearest_merge, NEAREST_THREADS, 2)(PARAMETER(NearestParameters) p) {
    SHARED_MEMORY(shared);
    u64* keys = reinterpret_cast<u64*>(shared);
    u32* words = reinterpret_cast<u32*>(keys + MAX_KEYS);
    u32* counter = words + SELECT_WORDS;
    i64 list = i64(blockIdx.x) * gridDim.y + blockIdx.y;
    float* best_scores = p.best_scores + list * p.k;
    u32* best_ids = p.best_ids + list * p.k;
    u64 worst = p.is_empty ? no_key() : key_of(best_scores[p.k - 1], best_ids[p.k - 1]), bound = worst;
    for (int i = threadIdx.x; i < p.k; i += NEAREST_THREADS) keys[i] = p.is_empty ? no_key() : key_of(best_scores[i], best_ids[i]);

    u32 room = MAX_KEYS - p.k, found = 0;
    while (true) {
        if (threadIdx.x == 0) *counter = 0;
        sync_block();
        collect(p, keys + p.k, room, counter, bound);
        sync_block();
        found = *counter;
        if (found <= room) break;
        // At least k keys of the tile are above the new bound, so none below it can be in the top
        // k.
        auto selected = select_top_k<u64, NEAREST_THREADS>(words, p.k, room, [&](auto count) {
            walk_scores(p, [&](u64 key) {
                if (key > worst) count(key);
            });
        });
        bound = selected.min_key - 1;
    }
    if (found == 0 && !p.is_empty) return;

    int sorted = 1;
    while (sorted < p.k + int(found)) sorted *= 2;
    for (int i = p.k + found + threadIdx.x; i < sorted; i += NEAREST_THREADS) keys[i] = no_key();
    sort_falling(keys, sorted);
    sync_block();
    for (int i = threadIdx.x; i < p.k; i += NEAREST_THREADS) {
        best_scores[i] = score_of(keys[i]);
        best_ids[i] = id_of(keys[i]);
    }
}
