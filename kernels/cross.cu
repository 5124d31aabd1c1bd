// Cross-attention with one query for each sequence, as the first position of a decoder has it.
//
// In: a row of queries for each sequence and packed rows of keys and values, bf16; the starts of
// sequences. Out: a row of bf16 for each sequence, zeros for a sequence without rows.
//
// A warp takes one head of one sequence, 32 keys at a time: each lane has the score of one key, then
// the lanes share the columns of the values. Keys and values are read once, so that nothing is
// gained by shared memory. The softmax is online: sums are scaled whenever the maximum rises.
//
// Launch: 32 threads, grid sequences × heads, no shared memory.
#include "prelude.cuh"
#include "parameters.cuh"

/// Columns of a head that a lane accumulates: heads have at most 256.
constexpr int CROSS_COLUMNS = 8;

/// The product of a query with a key.
DEVICE float cross_score(const bf16* query, const bf16* key, int size) {
    float sum = 0;
    for (int column = 0; column < size; column++) sum += to_float(query[column]) * to_float(key[column]);
    return sum;
}

KERNEL(cross_attention, 32, 16)(PARAMETER(CrossAttentionParameters) p) {
    constexpr float LOG2_OF_E = 1.4426950409f;
    int lane = threadIdx.x, head = blockIdx.y;
    int begin = p.starts[blockIdx.x], length = int(p.starts[blockIdx.x + 1]) - begin;
    const bf16* query = p.queries + i64(blockIdx.x) * p.query_stride + head * p.head_size;
    const bf16* keys = p.memory + i64(begin) * p.memory_stride + head * p.head_size;
    const bf16* values = keys + p.heads * p.head_size;
    float sums[CROSS_COLUMNS] = {}, max = -INFINITY_F32, total = 0;
    ROLLED
    for (int first = 0; first < length; first += 32) {
        int key = first + lane, count = length - first < 32 ? length - first : 32;
        float score = -INFINITY_F32;
        if (lane < count) score = cross_score(query, keys + i64(key) * p.memory_stride, p.head_size) * (p.scale * LOG2_OF_E);
        float now = score;
        UNROLL
        for (int lanes = 16; lanes > 0; lanes /= 2) now = fmaxf(now, shuffle_xor(now, lanes));
        now = fmaxf(now, max);
        float weight = exp2_fast(score - now), shrink = exp2_fast(max - now);
        max = now;
        total = total * shrink + weight;
        UNROLL
        for (int i = 0; i < CROSS_COLUMNS; i++) sums[i] *= shrink;
        ROLLED
        for (int other = 0; other < count; other++) {
            float of_key = shuffle(weight, other);
            const bf16* value = values + i64(first + other) * p.memory_stride;
            UNROLL
            for (int i = 0; i < CROSS_COLUMNS; i++)
                if (lane + 32 * i < p.head_size) sums[i] += of_key * to_float(value[lane + 32 * i]);
        }
    }
    UNROLL
    for (int lanes = 16; lanes > 0; lanes /= 2) total += shuffle_xor(total, lanes);
    float factor = length > 0 ? 1 / total : 0;
    bf16* out = p.out + i64(blockIdx.x) * p.out_stride + head * p.head_size;
    UNROLL
    for (int i = 0; i < CROSS_COLUMNS; i++)
        if (lane + 32 * i < p.head_size) out[lane + 32 * i] = to_bf16(sums[i] * factor);
    // Rows are read up to their stride.
    int width = p.heads * p.head_size;
    if (head == p.heads - 1 && width + lane < p.out_stride) p.out[i64(blockIdx.x) * p.out_stride + width + lane] = to_bf16(0);
}
