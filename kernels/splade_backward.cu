// Gradients of the logits of the SPLADE head, where weights are pooled by sums.
//
// In: logits of some terms, rows × terms in f32, recomputed by a product; the gradient of each
// weight, sequences × terms in f32; the sequence of each row. Out: gradients of the logits, rows ×
// terms in bf16, for the products that follow (backward/splade.rs). A logit of 0 and below has
// none.
// A warp takes a row, a block 8 rows: 256 threads, grid ceil(rows / 8), no shared memory.
#include "rows.cuh"

/// The derivative of a weight at its logit.
DEVICE float splade_slope(float logit, int activation) {
    if (!(logit > 0)) return 0;
    float once = 1 / (1 + logit);
    return activation == LOG1P_LOG1P_RELU ? once / (1 + log1pf(logit)) : once;
}

KERNEL(splade_slopes, 256, 4)(PARAMETER(SpladeSlopesParameters) p) {
    int row = row_of_warp();
    if (row >= p.rows) return;
    const float *logits = p.logits + i64(row) * p.terms, *dy = p.dy + i64(p.sequence_of[row]) * p.terms;
    for (int term = first_column(); term < p.terms; term += CHUNK) {
        float x[8], of_dy[8];
        load_8(x, logits + term, p.terms - term);
        load_8(of_dy, dy + term, p.terms - term);
        UNROLL
        for (int i = 0; i < 8; i++) x[i] = splade_slope(x[i], p.activation) * of_dy[i];
        store_8(p.out + i64(row) * p.stride + term, x);
    }
}
