// The parameters of each kernel, one structure a kernel; `src/backend/cuda/parameters.rs` has the same structures field by field.
//
// A tensor is rows of bf16, `stride` numbers from row to row: the columns rounded up to a multiple of 8, so that every row begins at a
// multiple of 16 bytes. What lies between columns and stride is never read as numbers and may be anything. f32 rows (pooled vectors, scores) have no gaps. Batches are
// packed: sequence s has the rows starts[s] to starts[s + 1] - 1.
#pragma once
#include "prelude.cuh"

enum Activation { IDENTITY, GELU, GELU_TANH, RELU, SILU, TANH };
/// What is done to activation(a · b + bias) before it is stored.
enum Epilogue { NO_EPILOGUE, ADD, MULTIPLY };
enum NormKind { NO_NORM, LAYER_NORM, ROOT_MEAN_SQUARE };
enum Pooling { FIRST, LAST, MEAN, MEAN_SQRT, MAX_POOLING, WEIGHTED_MEAN };
enum SpladeActivation { LOG1P_RELU, LOG1P_LOG1P_RELU };

/// How rows are normalized; the bias is for LAYER_NORM alone.
struct Norm {
    const float* weight;
    const float* bias;
    float epsilon;
    int kind;
};

/// out[row] = norm(sum of tables[part][ids[part][row]]); tables and out have one stride.
struct EmbedParameters {
    const bf16* tables[3];
    const u32* ids[3];
    bf16* out;
    Norm norm;
    int parts, rows, columns, stride;
};

/// out = norm(x + y); y may be absent (null). All have one stride.
struct RowsParameters {
    const bf16* x;
    const bf16* y;
    bf16* out;
    Norm norm;
    int rows, columns, stride, padding;
};

/// Between bf16 with gaps (`stride`) and f32 without: which way, the kernel says.
struct ConvertParameters {
    bf16* bf16_rows;
    float* f32_rows;
    int rows, columns, stride, padding;
};

/// Every row of f32 numbers divided by its Euclidean length, 1e-12 at min_key.
struct L2NormalizeParameters {
    const float* x;
    float* out;
    int rows, columns;
};

/// One f32 row a sequence.
struct PoolParameters {
    const bf16* x;
    const u32* starts;
    float* out;
    int sequences, columns, stride, pooling;
};

/// out[row] = rows row - width / 2 to row + width / 2 of the same sequence side by side, zeros beyond its ends.
struct Im2colParameters {
    const bf16* x;
    const u32* starts;
    bf16* out;
    int sequences, rows, columns, stride, out_stride, width;
};

/// out[head][row] = x[row], columns column + head · head_size and on: for heads that do not begin at multiples of 16 bytes. Rows of out have a stride of head_size rounded up.
struct HeadsParameters {
    const bf16* x;
    bf16* out;
    int rows, heads, head_size, column, stride, padding;
};

/// out = then(activation(a · b + bias), other). TN: a is m × k, b is n × k. NN: a is m × k, b is k × n. NT: a is k × m, b is k × n.
/// blockIdx.z counts products: each begins `*_batch` numbers after the one before. `out` is bf16 or f32, the kernel says.
struct ProductParameters {
    const bf16* a;
    const bf16* b;
    void* out;
    const float* bias;
    const bf16* other;
    i64 a_batch, b_batch, out_batch;
    int m, n, k;
    int a_stride, b_stride, out_stride, other_stride;
    int epilogue, activation, padding;
};

/// A matrix of bf16 as the copy engine of Hopper takes it, the CUtensorMap that the driver encodes: its columns (those that count, not the stride) and rows, the box that one copy moves,
/// 128-byte swizzle, zeros for what lies outside.
struct alignas(64) TensorMap {
    u64 words[16];
};

/// The product TN once more for Hopper. Boxes are 64 columns wide; a has boxes of 128 rows, b of as many as the kernel's name says, other of 128, out of 16. `other` is not looked at when nothing is
/// done with it. Of `product` the kernel reads bias (16-byte aligned), m, n, k, then and activation.
struct ProductHopperParameters {
    TensorMap a, b, other, out;
    ProductParameters product;
};

/// softmax(scale · (queries · keysᵀ + positions) + bias) · values, for blocks of queries: `tiles` has two numbers each, the sequence and the first query in it.
/// `bias` is [heads][2 · reach + 1], by distance (key less query) + reach. `content_to_position` is [heads][tokens][buckets]: query by bucket; `position_to_content` the
/// same: key by bucket; `bucket_of` is [2 · reach + 1]. Each may be absent.
struct AttentionParameters {
    const bf16* projections;
    bf16* out;
    const u32* starts;
    const u32* tiles;
    const float* bias;
    const float* content_to_position;
    const float* position_to_content;
    const u32* bucket_of;
    int tokens, heads, head_size, stride, out_stride, reach, buckets;
    float scale;
};

/// MaxSim of f32 rows: out[s] = sum over the query's rows of the greatest inner product with a row of sequence s.
struct LateParameters {
    const float* query;
    const float* documents;
    const u32* starts;
    float* out;
    int query_rows, columns, sequences, padding;
};

/// Folds logits x · decoderᵀ + bias into table[sequence][term], which is all zeros before. Kernels of maxima: u32, the bits of the greatest logit above 0. With places: u64, those
/// bits in the upper half and in the lower ~row, so that the first row wins. Sums: u64, the sum of activated logits times 2^32, rounded each.
/// `sequence_of` has a number for each row.
struct SpladeParameters {
    const bf16* x;
    const bf16* decoder;
    const float* bias;
    const u32* sequence_of;
    void* table;
    int rows, columns, terms, x_stride, decoder_stride, activation;
};

/// The same for Hopper: x has boxes of 64 columns × 128 rows, the decoder of 64 × 256. Of `splade` the kernel does not read x, decoder and their strides; the bias is 16-byte aligned.
struct SpladeHopperParameters {
    TensorMap x, decoder;
    SpladeParameters splade;
};

enum TableKind { TABLE_MAX, TABLE_ARGMAX, TABLE_SUM };

/// From such a table to lists of the weights above `threshold`: sequence s has offsets[s] to offsets[s + 1] - 1, terms ascending. Three kernels in turn: counts into offsets[s + 1],
/// running sums, terms and weights (and rows, for tables with places).
struct SparsifyParameters {
    const void* table;
    u32* offsets;
    u32* found_terms;
    float* found_weights;
    u32* found_rows;
    int sequences, terms, kind, activation;
    float threshold;
    int padding;
};

/// Zeroes all cells of each sequence but the k greatest, of a table of TABLE_MAX; of equal ones the lower terms stay.
struct TopKParameters {
    u32* table;
    int sequences, terms, k, padding;
};

/// Merges scores[query][count] of the vectors from number `first` on into the k best of each query: best_scores[query][k], falling, and best_ids.
/// If is_empty there are none yet, and what lies there is not read. Places without a vector have -infinity and 0xffffffff. k is 1 to 1,024.
struct NearestParameters {
    const float* scores;
    float* best_scores;
    u32* best_ids;
    int queries, count, first, k, is_empty, padding;
};
