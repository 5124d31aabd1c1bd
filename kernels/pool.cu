// Pooling: the rows of each sequence become one vector.
//
// In: packed rows of bf16 and the starts of sequences. Out: a row of f32 for each sequence, zeros
// for an empty one.
//
// A thread takes eight columns of one sequence and reduces its rows in order, so that a sum does
// not depend on the rest of the batch. Blocks are one warp, so that the columns of a long sequence
// spread over several multiprocessors: 32 threads, grid sequences × ceil(columns / 256), no shared
// memory.
#include "prelude.cuh"
#include "parameters.cuh"
#include "vec8.cuh"

/// Row loads in flight: a thread pays the memory latency once for this many rows.
constexpr int ROWS_IN_FLIGHT = 8;

/// The maximum, the sum weighted by position from 1, or the sum of `rows` rows, eight columns wide.
template <int POOLING>
DEVICE void fold_rows(float (&folded)[8], const bf16* x, int rows, int stride) {
    UNROLL
    for (int i = 0; i < 8; i++) folded[i] = POOLING == MAX_POOLING ? -INFINITY_F32 : 0;
    for (int first = 0; first < rows; first += ROWS_IN_FLIGHT) {
        Words4 loaded[ROWS_IN_FLIGHT];
        UNROLL
        for (int row = 0; row < ROWS_IN_FLIGHT; row++)
            if (first + row < rows) loaded[row] = load_16(x + i64(first + row) * stride);
        UNROLL
        for (int row = 0; row < ROWS_IN_FLIGHT; row++) {
            if (first + row >= rows) continue;
            float values[8];
            unpack(values, loaded[row]);
            UNROLL
            for (int i = 0; i < 8; i++) {
                if (POOLING == MAX_POOLING) folded[i] = fmaxf(folded[i], values[i]);
                else if (POOLING == WEIGHTED_MEAN) folded[i] += float(first + row + 1) * values[i];
                else folded[i] += values[i];
            }
        }
    }
}

/// The divisor of a sum over a sequence.
DEVICE float divisor(int pooling, int length) {
    switch (pooling) {
        case MEAN: return float(length);
        case MEAN_SQRT: return sqrtf(float(length));
        case WEIGHTED_MEAN: return float(i64(length) * (length + 1) / 2);
        default: return 1;
    }
}

KERNEL(pool, 32, 16)(PARAMETER(PoolParameters) p) {
    int column = (blockIdx.y * 32 + threadIdx.x) * 8;
    if (column >= p.columns) return;
    int begin = p.starts[blockIdx.x], length = int(p.starts[blockIdx.x + 1]) - begin;
    const bf16* x = p.x + i64(begin) * p.stride + column;
    float pooled[8] = {};
    if (length > 0) {
        switch (p.pooling) {
            case FIRST: fold_rows<MEAN>(pooled, x, 1, p.stride); break;
            case LAST: fold_rows<MEAN>(pooled, x + i64(length - 1) * p.stride, 1, p.stride); break;
            case MAX_POOLING: fold_rows<MAX_POOLING>(pooled, x, length, p.stride); break;
            case WEIGHTED_MEAN: fold_rows<WEIGHTED_MEAN>(pooled, x, length, p.stride); break;
            default: fold_rows<MEAN>(pooled, x, length, p.stride); break;
        }
        float by = divisor(p.pooling, length);
        UNROLL
        for (int i = 0; i < 8; i++) pooled[i] = pooled[i] / by;
    }
    store_8(p.out + i64(blockIdx.x) * p.columns + column, pooled, p.columns - column);
}
