// Gradients of the weights of linear layers: dyᵀ · x, added to f32 gradients.
//
// In: dy and x in bf16, a row for each token. Out: f32 gradients, outputs × inputs.
//
// The sum over tokens is the depth of the product, which is long, while the result may have fewer
// tiles than the GPU has multiprocessors. So the tokens are cut into parts, which are blocks of
// their own; their sums go to memory, and sum_parts adds them to the gradient in the order of the
// parts. One part is added at once. Nothing is added atomically, so the bits do not depend on the
// order in which blocks run.
//
// 128 threads, grid x = tiles of 128 × 128, z = products · parts; 49,152 bytes of shared memory.
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
