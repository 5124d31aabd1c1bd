// Gradients of the weights and biases of linear layers: dyᵀ · x and the column sums of dy, added to
// f32 gradients.
//
// In: dy and x in bf16, a row for each token. Out: f32 gradients, outputs × inputs and outputs.
//
// The sum over tokens is the depth of the product, which is long, while the result may have fewer
// tiles than the GPU has multiprocessors. So the tokens are cut into parts, which are blocks of
// their own; their sums go to memory, and add_parts adds them to the gradient in the order of the
// parts. One part is added at once. Nothing is added atomically, so the bits do not depend on the
// order in which blocks run.
//
// weight_gradient: 128 threads, grid x = tiles of 128 × 128, z = products · parts; 49,152 bytes of
// shared memory. bias_gradient: 256 threads, grid x = ceil(columns / 256), y = parts, z = products;
// 9,216 bytes. add_parts: 256 threads, grid x = ceil(rows · columns / 256), y = 1, z = products; no
// shared memory.
#include "parameters.cuh"
#include "product.cuh"

KERNEL(weight_gradient, 128, 2)(PARAMETER(WeightGradientParameters) p) {
    SHARED_MEMORY(shared);
    typedef LargeTile<MN_MAJOR, MN_MAJOR> Tile;
    int part = blockIdx.z % p.parts, product = blockIdx.z / p.parts, first = part * p.part, rows = min_of(p.rows - first, p.part);
    Operand dy = {p.dy + product * p.dy_batch + i64(first) * p.dy_stride, p.outputs, rows, p.dy_stride};
    Operand x = {p.x + product * p.x_batch + i64(first) * p.x_stride, p.inputs, rows, p.x_stride};
    TilePlace<Tile> place(blockIdx.x, p.outputs, p.inputs);
    Tile tile(shared);
    Tile::Sums sums;
    tile.multiply_all(sums, dy, x, nullptr, place.row, place.column);
    tile.for_each_eight(sums, place.row, place.column, [&](float(&eight)[8], int row, int column) {
        int valid = p.inputs - column;
        if (row >= p.outputs || row < p.skipped || valid <= 0) return;
        if (p.parts > 1) {
            store_8(p.sums + (i64(blockIdx.z) * p.outputs + row) * p.sums_stride + column, eight, 8);
            return;
        }
        float* to = p.out + product * p.out_batch + i64(row - p.skipped) * p.out_stride + column;
        UNROLL
        for (int i = 0; i < 8; i++)
            if (i < valid) eight[i] += to[i];
        store_8(to, eight, valid);
    });
}

KERNEL(bias_gradient, 256, 4)(PARAMETER(BiasGradientParameters) p) {
    SHARED_MEMORY(shared);
    float(*of_warps)[8 * 36] = reinterpret_cast<float(*)[8 * 36]>(shared);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, first = blockIdx.y * p.part, end = min_of(first + p.part, p.rows);
    int column = blockIdx.x * 256 + 8 * lane, valid = p.columns - column;
    const bf16* from = p.x + blockIdx.z * p.x_batch + column;
    float sums[8] = {};
    for (int row = first + warp; row < end; row += 8) {
        float values[8];
        load_8(values, from + i64(row) * p.stride, valid);
        UNROLL
        for (int i = 0; i < 8; i++) sums[i] += values[i];
    }
    // Elements are 36 places apart, so that neither writes nor reads conflict in a bank.
    UNROLL
    for (int i = 0; i < 8; i++) of_warps[warp][36 * i + lane] = sums[i];
    sync_block();
    // Thread t now takes column t of the block.
    int place = threadIdx.x % 8 * 36 + threadIdx.x / 8;
    float sum = 0;
    UNROLL
    for (int other = 0; other < 8; other++) sum += of_warps[other][place];
    int own = blockIdx.x * 256 + threadIdx.x;
    if (own < p.columns) p.sums[(i64(blockIdx.z) * p.parts + blockIdx.y) * p.sums_stride + own] = sum;
}

KERNEL(add_parts, 256, 4)(PARAMETER(AddPartsParameters) p) {
    i64 index = i64(blockIdx.x) * 256 + threadIdx.x;
    if (index >= i64(p.rows) * p.columns) return;
    int row = int(index / p.columns), column = int(index % p.columns);
    const float* from = p.sums + blockIdx.z * p.parts * p.part_size + i64(row) * p.sums_stride + column;
    float sum = 0;
    for (int part = 0; part < p.parts; part++) sum += from[part * p.part_size];
    p.out[blockIdx.z * p.out_batch + i64(row) * p.out_stride + column] += sum;
}
