// The gradients of the scores of attention, summed by the buckets of their distances; and the
// addition of what positions contribute to the gradients of queries and keys.
//
// In: rows of slopes (attention_backward.cuh) and the distances of each bucket. Out: for each head,
// sums of a token in bf16, or of a part of the tokens in f32.
//
// bucket_slopes: a warp takes a part of the rows, its lanes the buckets, each in the order of its
// distances. 128 threads, grid x = ceil(parts / 4), y = heads; no shared memory.
// add_to_rows: a thread takes a column of a row. 256 threads, grid x = ceil(columns / 256), y =
// rows; no shared memory.
#include "parameters.cuh"

KERNEL(bucket_slopes, 128, 8)(PARAMETER(BucketSlopesParameters) p) {
    int part = blockIdx.x * 4 + threadIdx.x / 32, head = blockIdx.y, first = part * p.part;
    if (first >= p.tokens) return;
    i64 place = (i64(part) * gridDim.y + head) * p.out_stride;
    for (int bucket = threadIdx.x % 32; bucket < p.buckets; bucket += 32) {
        float sum = 0;
        for (int row = first; row < min_of(first + p.part, p.tokens); row++) {
            int sequence = p.sequence_of[p.first_token + row], begin = p.starts[sequence], length = int(p.starts[sequence + 1]) - begin;
            int own = p.first_token + row - begin;
            const bf16* slopes = p.slopes + (i64(head) * p.tokens + row) * p.slopes_stride;
            for (u32 i = p.bucket_starts[bucket]; i < p.bucket_starts[bucket + 1]; i++) {
                int column = p.is_keys ? own - p.distances[i] : own + p.distances[i];
                if (column >= 0 && column < length) sum += to_float(slopes[column]);
            }
        }
        sum *= p.factor;
        if (p.totals) p.totals[place + bucket] = sum;
        else p.out[place + bucket] = to_bf16(sum);
    }
}

KERNEL(add_to_rows, 256, 4)(PARAMETER(AddToRowsParameters) p) {
    int column = blockIdx.x * 256 + threadIdx.x;
    if (column >= p.columns) return;
    for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
        bf16* to = p.out + i64(row) * p.stride + column;
        *to = to_bf16(to_float(*to) + p.x[i64(row) * p.columns + column]);
    }
}
