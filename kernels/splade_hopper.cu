// The SPLADE head on Hopper: logits x · decoderᵀ + bias, pooled over the rows of each sequence into
// table[sequence][term] and never materialized. Tiles of 128 rows × 256 terms; the main loop is in
// hopper_product.cuh, the pooling in splade.cuh.
//
// In: x (rows × columns) and decoder (terms × columns) in bf16 as tensor maps; bias, f32, or null;
// the sequence of each row; the table, all zeros. Out: the table (SpladeParameters describes its
// cells). rows, terms and columns are any pieces from 1.
//
// A warp has 16 rows of a tile and pools them 64 terms at a time; it loads their sequences before
// the products.
//
// 384 threads, grid: multiprocessors, or tiles if they are fewer, shared memory Ring<256>::BYTES =
// 229,584.
#include "hopper_product.cuh"
#include "splade.cuh"

constexpr int TERMS = 256;

/// The job of the loop: see hopper_product.cuh.
template <class Fold, bool IS_ACTIVATED>
struct FoldLogits {
    typedef WarpRows<1> Rows;
    const SpladeParameters& p;
    u8* memory;

    DEVICE FoldLogits(const SpladeParameters& p, u8* memory) : p(p), memory(memory) {}

    DEVICE int stages(int) const { return 0; }
    DEVICE void load(int, int, Ring<TERMS>&) const {}
    DEVICE Rows begin(int row, int) const { return Rows(p.sequence_of, row, p.rows); }
    DEVICE void finish(const Sums<TERMS>& c, const Rows& rows, int column, int warp, Ring<TERMS>&) const {
        int pieces = divide_up(min_of(p.terms - column, TERMS), 64);
        ROLLED
        for (int index = 0; index < pieces; index++) {
            Piece x;
            take_piece<TERMS>(x, c, index, biases_of<TERMS>(memory, warp));
            if (IS_ACTIVATED) splade_activate_all(x, p.activation);
            // Most blocks of a trained model have no positive logit, and then pool nothing.
            bool is_any = false;
            UNROLL
            for (int i = 0; i < 32; i++) is_any |= x[i] > 0;
            if (!ballot(is_any)) continue;
            float parts[1][8][4];
            UNROLL
            for (int i = 0; i < 32; i++) parts[0][i / 4][i % 4] = x[i];
            fold<Fold>(p, parts, rows, column + 64 * index);
        }
        // The biases of the next tile overwrite these. All lanes have read them by now: the last
        // ballot depends on them.
    }
    DEVICE void end() const {}
};

template <class Fold, bool IS_ACTIVATED>
DEVICE void splade_hopper(const SpladeHopperParameters& p, u8* memory) {
    FoldLogits<Fold, IS_ACTIVATED> job(p.splade, memory);
    Operands operands = {&p.x, &p.decoder, p.splade.bias, p.taken, p.splade.rows, p.splade.terms, p.splade.columns, p.splade.columns};
    multiply_tiles<TERMS>(memory, operands, job);
}

KERNEL(splade_hopper_max, HOPPER_THREADS, 1)(PARAMETER(SpladeHopperParameters) p) {
    SHARED_MEMORY(memory);
    splade_hopper<FoldMax, false>(p, memory);
}

KERNEL(splade_hopper_argmax, HOPPER_THREADS, 1)(PARAMETER(SpladeHopperParameters) p) {
    SHARED_MEMORY(memory);
    splade_hopper<FoldArgmax, false>(p, memory);
}

KERNEL(splade_hopper_sum, HOPPER_THREADS, 1)(PARAMETER(SpladeHopperParameters) p) {
    SHARED_MEMORY(memory);
    splade_hopper<FoldSum, true>(p, memory);
}
