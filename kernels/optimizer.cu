// The optimizer, and the forms of masters that products read.
//
//     adamw              a step (Loshchilov and Hutter, 2019)
//     sum_of_squares     a sum for every 4,096 values
//     copy_values        f32 values
//     transpose_to_bf16  out[column][row] = x[row][column], from f32 without padding to bf16 rows
//
// A thread takes four values: 256 threads, grid ceil(count / 1,024). sum_of_squares: a warp takes
// 4,096 values, so that sums do not depend on the GPU; grid ceil(count / 32,768). transpose_to_bf16:
// a block takes 64 rows × 32 columns; grid ceil(columns / 32) × ceil(rows / 64), 8,448 bytes of
// shared memory.
#include "prelude.cuh"
#include "parameters.cuh"

/// Up to four values from a place on. They may be written by the same launch, so they are not
/// loaded as constants.
struct Four {
    float x[4];

    DEVICE Four(const float* from, int valid) {
        if (valid >= 4) {
            Words4 words = *reinterpret_cast<const Words4*>(from);
            UNROLL
            for (int i = 0; i < 4; i++) x[i] = float_of(words.word[i]);
            return;
        }
        UNROLL
        for (int i = 0; i < 4; i++) x[i] = i < valid ? from[i] : 0;
    }

    DEVICE void store(float* to, int valid) const {
        if (valid >= 4) {
            Words4 words;
            UNROLL
            for (int i = 0; i < 4; i++) words.word[i] = bits_of(x[i]);
            *reinterpret_cast<Words4*>(to) = words;
            return;
        }
        UNROLL
        for (int i = 0; i < 4; i++)
            if (i < valid) to[i] = x[i];
    }
};

/// How many of the four values from `place` on exist; 0 beyond the end.
DEVICE int valid_of(u64 count, u64 place) { return place >= count ? 0 : count - place < 4 ? int(count - place) : 4; }

DEVICE u64 place_of_thread() { return (u64(blockIdx.x) * 256 + threadIdx.x) * 4; }

KERNEL(adamw, 256, 4)(PARAMETER(AdamWParameters) p) {
    u64 place = place_of_thread();
    int valid = valid_of(p.count, place);
    if (valid == 0) return;
    Four master(p.master + place, valid), gradient(p.gradient + place, valid), mean(p.mean + place, valid), square(p.mean_square + place, valid);
    UNROLL
    for (int i = 0; i < 4; i++) {
        float g = gradient.x[i] * p.gradient_scale;
        mean.x[i] = p.beta1 * mean.x[i] + (1 - p.beta1) * g;
        square.x[i] = p.beta2 * square.x[i] + (1 - p.beta2) * g * g;
        float root = sqrtf(square.x[i]) * p.root_correction + p.epsilon;
        master.x[i] = master.x[i] * p.decay - p.rate * mean.x[i] / root;
    }
    master.store(p.master + place, valid);
    mean.store(p.mean + place, valid);
    square.store(p.mean_square + place, valid);
}

constexpr int SQUARES_PER_WARP = 4096;

KERNEL(sum_of_squares, 256, 4)(PARAMETER(SumOfSquaresParameters) p) {
    u64 warp = u64(blockIdx.x) * 8 + threadIdx.x / 32, first = warp * SQUARES_PER_WARP;
    if (first >= p.count) return;
    float sum = 0;
    for (int step = 0; step < SQUARES_PER_WARP; step += 32 * 4) {
        u64 place = first + step + threadIdx.x % 32 * 4;
        Four values(p.values + place, valid_of(p.count, place));
        UNROLL
        for (int i = 0; i < 4; i++) sum += values.x[i] * values.x[i];
    }
    sum = sum_of_warp(sum);
    if (threadIdx.x % 32 == 0) p.sums[warp] = sum;
}

KERNEL(copy_values, 256, 4)(PARAMETER(CopyValuesParameters) p) {
    u64 place = place_of_thread();
    int valid = valid_of(p.count, place);
    // The target may begin anywhere.
    Four values(p.from + place, valid);
    UNROLL
    for (int i = 0; i < 4; i++)
        if (i < valid) p.to[place + i] = values.x[i];
}

constexpr int TRANSPOSED_ROWS = 64, TRANSPOSED_COLUMNS = 32;

KERNEL(transpose_to_bf16, 256, 4)(PARAMETER(TransposeParameters) p) {
    SHARED_MEMORY(shared);
    // One value more than a row has, so that neither rows nor columns conflict in a bank.
    float(*tile)[TRANSPOSED_COLUMNS + 1] = reinterpret_cast<float(*)[TRANSPOSED_COLUMNS + 1]>(shared);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, top = blockIdx.y * TRANSPOSED_ROWS, left = blockIdx.x * TRANSPOSED_COLUMNS;
    for (int row = warp; row < TRANSPOSED_ROWS; row += 8) {
        bool is_in = top + row < p.rows && left + lane < p.columns;
        tile[row][lane] = is_in ? p.f32_rows[i64(top + row) * p.columns + left + lane] : 0;
    }
    sync_block();
    for (int column = warp; column < TRANSPOSED_COLUMNS; column += 8) {
        if (left + column >= p.columns) return;
        bf16* out = p.bf16_rows + i64(left + column) * p.stride + top;
        float upper = tile[lane][column], lower = tile[lane + 32][column];
        if (top + lane < p.rows) out[lane] = to_bf16(upper);
        if (top + lane + 32 < p.rows) out[lane + 32] = to_bf16(lower);
    }
}
