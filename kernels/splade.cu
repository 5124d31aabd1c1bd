// The SPLADE head: logits x · decoderᵀ + bias, pooled over the rows of each sequence into
// table[sequence][term] and never materialized. Compute capability 8.0 and later.
//
// In: x, rows × columns in bf16; decoder, terms × columns in bf16; bias, f32, or null; the sequence
// of each row; the table, all zeros. Out: the table (SpladeParameters describes its cells):
// splade_max has the maximum logit, splade_argmax also its row, splade_sum the sum of weights. rows
// and terms are any numbers from 1.
//
// A block computes a tile of 128 rows × 128 terms (product.cuh), a warp 64 × 64 of it, and pools it
// (splade.cuh).
// 128 threads, grid ceil(rows / 128) · ceil(terms / 128), 49,152 bytes of shared memory.
#include "product.cuh"
#include "splade.cuh"

typedef LargeTile<K_MAJOR, K_MAJOR> LogitTile;

/// Turns logits into weights. Not unrolled, because logarithms are long; parts of 16 rows rotate
/// through the same code instead.
DEVICE void activate_parts(LogitTile::Sums& logits, int activation) {
    constexpr int COUNT = 4 * LogitTile::ACROSS, LAST = LogitTile::DOWN - 1;
    ROLLED
    for (int part = 0; part < LogitTile::DOWN; part++) {
        float x[COUNT];
        UNROLL
        for (int j = 0; j < COUNT; j++) x[j] = logits[0][j / 4][j % 4];
        splade_activate_all(x, activation);
        UNROLL
        for (int i = 0; i < LAST * COUNT; i++) logits[i / COUNT][i % COUNT / 4][i % 4] = logits[i / COUNT + 1][i % COUNT / 4][i % 4];
        UNROLL
        for (int j = 0; j < COUNT; j++) logits[LAST][j / 4][j % 4] = x[j];
    }
}

template <class Fold, bool IS_ACTIVATED>
DEVICE void splade(const SpladeParameters& p, const u8* shared) {
    TilePlace<LogitTile> place(blockIdx.x, p.rows, p.terms);
    LogitTile tile(shared);
    LogitTile::Sums logits;
    Operand x = {p.x, p.rows, p.columns, p.x_stride}, decoder = {p.decoder, p.terms, p.columns, p.decoder_stride};
    tile.multiply_all(logits, x, decoder, p.bias, place.row, place.column);
    if (IS_ACTIVATED) activate_parts(logits, p.activation);
    WarpRows<LogitTile::DOWN> rows(p.sequence_of, place.row + tile.warp_row, p.rows);
    fold<Fold>(p, logits, rows, place.column + tile.warp_column);
}

KERNEL(splade_max, LogitTile::THREADS, 2)(PARAMETER(SpladeParameters) p) {
    SHARED_MEMORY(shared);
    splade<FoldMax, false>(p, shared);
}

KERNEL(splade_argmax, LogitTile::THREADS, 2)(PARAMETER(SpladeParameters) p) {
    SHARED_MEMORY(shared);
    splade<FoldArgmax, false>(p, shared);
}

KERNEL(splade_sum, LogitTile::THREADS, 2)(PARAMETER(SpladeParameters) p) {
    SHARED_MEMORY(shared);
    splade<FoldSum, true>(p, shared);
}
