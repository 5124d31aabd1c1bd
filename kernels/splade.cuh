// Pools the logits of a tile into the table [sequence][term] without materializing them: each warp
// reduces its rows of every sequence.
//
// A warp has rows of a tile: each lane has values at rows r and r + 8 of parts of 16 rows, at pairs
// of columns (see multiply in prelude.cuh; Hopper's products have the same layout).
//
// For a sequence, a lane reduces its own rows in registers. Then the eight lanes with the same
// columns exchange: in each of three steps a lane gives away the half of its columns that the other
// keeps, and ends with two adjacent columns. One atomic for each of the two, if it can change
// anything, updates the table. A warp walks from the first to the last sequence of its rows;
// usually there is one, and rows need not be compared.
//
// A fold is a structure with
//     Held, nothing()     the accumulator of a column, and that of no rows
//     take(logit, row)    the accumulator of one value; nothing unless it is positive
//     join(x, y)          the accumulator of both
//     exchange(x, lanes)  that of the lane whose number differs in these bits
//     put(table, cell, x) updates the table
#pragma once
#include "activation.cuh"

/// The maximum logit: u32 cells, the bits of a positive f32.
struct FoldMax {
    typedef float Held;
    static DEVICE Held nothing() { return 0; }
    static DEVICE Held take(float logit, int) { return logit; }
    static DEVICE Held join(Held x, Held y) { return fmaxf(x, y); }
    static DEVICE Held exchange(Held x, int lanes) { return shuffle_xor(x, lanes); }
    static DEVICE void put(void* table, i64 cell, Held x) {
        if (x > 0) atomic_max(static_cast<u32*>(table) + cell, bits_of(x));
    }
};

DEVICE u64 exchange_halves(u64 x, int lanes) { return u64(shuffle_xor(u32(x >> 32), lanes)) << 32 | shuffle_xor(u32(x), lanes); }

/// The maximum logit and its row, the first if several have it: u64 cells, ~row in the lower half.
struct FoldArgmax {
    typedef u64 Held;
    static DEVICE Held nothing() { return 0; }
    static DEVICE Held take(float logit, int row) { return logit > 0 ? u64(bits_of(logit)) << 32 | u32(~row) : 0; }
    static DEVICE Held join(Held x, Held y) { return x > y ? x : y; }
    static DEVICE Held exchange(Held x, int lanes) { return exchange_halves(x, lanes); }
    static DEVICE void put(void* table, i64 cell, Held x) {
        if (x) atomic_max(static_cast<u64*>(table) + cell, x);
    }
};

/// The sum of weights (values are activated before) in units of 2^-32, each rounded: u64 cells.
/// Integer sums do not depend on their order.
struct FoldSum {
    typedef u64 Held;
    static DEVICE Held nothing() { return 0; }
    static DEVICE Held take(float logit, int) {
        if (!(logit > 0)) return 0;
        // Weights are logarithms: one this large is infinite; clamp it, so that the sum does not
        // wrap around.
        float weight = fminf(logit, 65536.0f);
        // Two conversions to 32 bits take fewer registers than one to 64; both differences are
        // exact.
        u32 whole = u32(weight);
        float units = (weight - float(whole)) * 4294967296.0f;
        u32 fraction = u32(units);
        return (u64(whole) << 32 | fraction) + (units - float(fraction) >= 0.5f);
    }
    static DEVICE Held join(Held x, Held y) { return x + y; }
    static DEVICE Held exchange(Held x, int lanes) { return exchange_halves(x, lanes); }
    static DEVICE void put(void* table, i64 cell, Held x) {
        if (x) atomic_add(static_cast<u64*>(table) + cell, x);
    }
};

/// The sequences of a warp's rows: DOWN parts of 16 rows, each STEP rows below the previous one,
/// from `row`. Sequences ascend with the rows.
template <int DOWN, int STEP = 16>
struct WarpRows {
    int row;
    u32 of[2 * DOWN];
    u32 first, last;
    bool is_one;

    DEVICE WarpRows(const u32* sequence_of, int row, int rows) : row(row) {
        constexpr u32 NONE = 0xffffffff;
        constexpr int SPAN = (DOWN - 1) * STEP + 16;
        UNROLL
        for (int i = 0; i < 2 * DOWN; i++) of[i] = row_of(i) < rows ? sequence_of[row_of(i)] : NONE;
        bool is_any = row < rows;
        first = is_any ? sequence_of[row] : NONE;
        last = is_any ? sequence_of[min_of(row + SPAN, rows) - 1] : 0;
        is_one = first == last && row + SPAN <= rows;
    }

    /// The lane's i-th row.
    DEVICE int row_of(int i) const { return row + i / 2 * STEP + i % 2 * 8 + threadIdx.x % 32 / 4; }
    DEVICE bool has(u32 sequence) const {
        bool is_in = false;
        UNROLL
        for (int i = 0; i < 2 * DOWN; i++) is_in |= of[i] == sequence;
        return ballot(is_in) != 0;
    }
};

/// Of two columns (or sets of columns) each lane keeps one for both; lanes with these bits set keep
/// the second.
template <class Fold>
DEVICE typename Fold::Held keep_half(typename Fold::Held first, typename Fold::Held second, int bits) {
    bool is_second = threadIdx.x & bits;
    return Fold::join(is_second ? second : first, Fold::exchange(is_second ? first : second, bits));
}

/// Pools the rows of one sequence in 64 columns, starting at `column`.
template <class Fold, bool IS_ONE, int DOWN, int STEP, int ACROSS>
DEVICE void fold_columns(const SpladeParameters& p, const float (&logits)[DOWN][ACROSS][4], int block, const WarpRows<DOWN, STEP>& rows, u32 sequence,
                         int column) {
    auto fold_column = [&](int j) {
        typename Fold::Held held = Fold::nothing();
        UNROLL
        for (int i = 0; i < 2 * DOWN; i++) {
            float logit = logits[i / 2][block + j / 2][i % 2 * 2 + j % 2];
            if (!IS_ONE && rows.of[i] != sequence) logit = 0;
            held = Fold::join(held, Fold::take(logit, rows.row_of(i)));
        }
        return held;
    };
    typename Fold::Held held[8];
    UNROLL
    for (int j = 0; j < 8; j++) held[j] = keep_half<Fold>(fold_column(j), fold_column(j + 8), 16);
    UNROLL
    for (int j = 0; j < 4; j++) held[j] = keep_half<Fold>(held[j], held[j + 4], 8);
    UNROLL
    for (int j = 0; j < 2; j++) held[j] = keep_half<Fold>(held[j], held[j + 2], 4);
    // Of columns 8·j + 2·(lane mod 4) and the next, the lane kept j = lane / 4.
    i64 cells = i64(sequence) * p.terms;
    UNROLL
    for (int j = 0; j < 2; j++) {
        int term = column + threadIdx.x % 32 * 2 + j;
        if (term < p.terms) Fold::put(p.table, cells + term, held[j]);
    }
}

/// Pools all values of a warp: logits[i][j] as in ProductTile::Sums, with parts i as in `rows`,
/// columns from `column`. ACROSS is a multiple of 8.
template <class Fold, int DOWN, int STEP, int ACROSS>
DEVICE void fold(const SpladeParameters& p, const float (&logits)[DOWN][ACROSS][4], const WarpRows<DOWN, STEP>& rows, int column) {
    if (rows.is_one) {
        UNROLL
        for (int block = 0; block < ACROSS; block += 8) fold_columns<Fold, true>(p, logits, block, rows, rows.first, column + 8 * block);
        return;
    }
    for (u32 sequence = rows.first; sequence <= rows.last; sequence++) {
        if (!rows.has(sequence)) continue;
        UNROLL
        for (int block = 0; block < ACROSS; block += 8) fold_columns<Fold, false>(p, logits, block, rows, sequence, column + 8 * block);
    }
}

template <int COUNT>
DEVICE void splade_activate_all(float (&x)[COUNT], int activation) {
    UNROLL
    for (int i = 0; i < COUNT; i++) x[i] = splade_activate(x[i], activation);
}
