// The parameters of each kernel, one structure per kernel; `src/backend/cuda/parameters.rs` has the
// same structures field by field.
//
// A tensor is rows of bf16, `stride` elements from row to row: the columns rounded up to a multiple
// of 8, so that every row is 16-byte aligned. The padding is never read as values and may be
// anything. f32 rows (pooled vectors, scores) have no padding. Batches are packed: sequence s has
// the rows starts[s] to starts[s + 1] - 1.
#pragma once
#include "prelude.cuh"

enum Activation { IDENTITY, GELU, GELU_TANH, RELU, SILU, TANH };
/// Applied to activation(a · b + bias) before it is stored.
enum Epilogue { NO_EPILOGUE, ADD, MULTIPLY };
enum NormKind { NO_NORM, LAYER_NORM, ROOT_MEAN_SQUARE };
enum Pooling { FIRST, LAST, MEAN, MEAN_SQRT, MAX_POOLING, WEIGHTED_MEAN };
enum SpladeActivation { LOG1P_RELU, LOG1P_LOG1P_RELU };

/// A norm of rows; the bias is for LAYER_NORM only.
struct Norm {
    const float* weight;
    const float* bias;
    float epsilon;
    int kind;
};

/// out[row] = norm(sum of tables[part][ids[part][row]]); tables and out have the same stride.
struct EmbedParameters {
    const bf16* tables[3];
    const u32* ids[3];
    bf16* out;
    Norm norm;
    int parts, rows, columns, stride;
};

/// out = norm(x + y); y may be null. All have the same stride.
struct RowsParameters {
    const bf16* x;
    const bf16* y;
    bf16* out;
    Norm norm;
    int rows, columns, stride, padding;
};

/// Conversion between bf16 with padding (`stride`) and f32 without; the kernel says in which
/// direction.
struct ConvertParameters {
    bf16* bf16_rows;
    float* f32_rows;
    int rows, columns, stride, padding;
};

/// Every f32 row divided by its Euclidean norm, at least 1e-12.
struct L2NormalizeParameters {
    const float* x;
    float* out;
    int rows, columns;
};

/// One f32 row per sequence.
struct PoolParameters {
    const bf16* x;
    const u32* starts;
    float* out;
    int sequences, columns, stride, pooling;
};

/// out[row] = rows row - width / 2 to row + width / 2 of the same sequence side by side, zeros
/// beyond its ends.
struct Im2colParameters {
    const bf16* x;
    const u32* starts;
    bf16* out;
    int sequences, rows, columns, stride, out_stride, width;
};

/// out[head][row] = x[row], columns from column + head · head_size: for heads that are not 16-byte
/// aligned. Rows of out have head_size rounded up as stride.
struct HeadsParameters {
    const bf16* x;
    bf16* out;
    int rows, heads, head_size, column, stride, padding;
};

/// out = epilogue(activation(a · b + bias), other). TN: a is m × k, b is n × k. NN: a is m × k, b
/// is k × n. NT: a is k × m, b is k × n. blockIdx.z counts products, each `*_batch` elements after
/// the previous one. `out` is bf16 or f32, depending on the kernel.
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

/// A CUtensorMap, encoded by the driver: a bf16 matrix with its columns (without padding) and rows,
/// the box of one copy, 128-byte swizzle, and zero fill out of bounds. CUDA 13 aligns it to 128
/// bytes, CUDA 12 to 64.
struct alignas(128) TensorMap {
    u64 words[16];
};

/// The TN product for Hopper. Boxes are 64 columns wide; a has boxes of 128 rows, b of as many as
/// the kernel's name says, other of 128, out of 8. `other` is ignored without an epilogue. Of
/// `product` the kernel reads bias (16-byte aligned), m, n, k, epilogue and activation. `taken` is
/// the counter of tiles (hopper_product.cuh), of this stream alone.
struct ProductHopperParameters {
    TensorMap a, b, other, out;
    ProductParameters product;
    u32* taken;
};

/// sums[part] = a · bᵀ over the part of k from part · `part` on, in f32 rows of `stride` values, a
/// multiple of 8. Boxes of a and b are 64 columns × 128 rows; `taken` is as above.
struct ProductSplitParameters {
    TensorMap a, b;
    float* sums;
    u32* taken;
    int m, n, k, part, stride, padding[23];
};

/// out of `product` = epilogue(activation(sum of `parts` such sums + bias), other).
struct ProductSumParameters {
    ProductParameters product;
    const float* sums;
    int parts, stride;
};

/// softmax(scale · (queries · keysᵀ + positions) + bias) · values, for blocks of queries: `tiles`
/// has two values each, the sequence and the first query in it. `bias` is [heads][2 · reach + 1],
/// by distance (key minus query) + reach. `content_to_position` is [heads][tokens][buckets], query
/// by bucket, for the tokens of these blocks, of which `first_token` is the first;
/// `position_to_content` is the same, key by bucket; `bucket_of` is [2 · reach + 1]. Each may be
/// null.
struct AttentionParameters {
    const bf16* projections;
    bf16* out;
    const u32* starts;
    const u32* tiles;
    const float* bias;
    const float* content_to_position;
    const float* position_to_content;
    const u32* bucket_of;
    int first_token, tokens, heads, head_size, stride, out_stride, reach, buckets;
    float scale;
    int padding;
};

/// Attention of one query for each sequence. A row of the memory has the keys of all heads, then their
/// values.
struct CrossAttentionParameters {
    const bf16* queries;
    const bf16* memory;
    const u32* starts;
    bf16* out;
    int sequences, heads, head_size, query_stride, memory_stride, out_stride;
    float scale;
    int padding;
};

/// MaxSim of f32 rows: out[s] = sum over the query's rows of the maximum inner product with a row
/// of sequence s.
struct LateParameters {
    const float* query;
    const float* documents;
    const u32* starts;
    float* out;
    int query_rows, columns, sequences, padding;
};

/// Pools logits x · decoderᵀ + bias into table[sequence][term], which starts as all zeros. Max
/// kernels: u32, the bits of the maximum positive logit. Argmax kernels: u64, those bits in the
/// upper half and ~row in the lower, so that the first row wins. Sum kernels: u64, the sum of
/// activated logits times 2^32, each rounded. `sequence_of` has one value per row.
struct SpladeParameters {
    const bf16* x;
    const bf16* decoder;
    const float* bias;
    const u32* sequence_of;
    void* table;
    int rows, columns, terms, x_stride, decoder_stride, activation;
};

/// The SPLADE head for Hopper: x has boxes of 64 columns × 128 rows, the decoder of 64 × 256. Of
/// `splade` the kernel does not read x, decoder and their strides; the bias is 16-byte aligned.
/// `taken` is as in ProductHopperParameters.
struct SpladeHopperParameters {
    TensorMap x, decoder;
    SpladeParameters splade;
    u32* taken;
};

enum TableKind { TABLE_MAX, TABLE_ARGMAX, TABLE_SUM };

struct alignas(8) TermWeight {
    u32 term;
    float weight;
};

/// From such a table to lists of the weights above `threshold`: sequence s has offsets[s] to
/// offsets[s + 1] - 1, terms ascending. Three kernels in turn: counts into offsets[s + 1], prefix
/// sums, pairs of a term and its weight (and rows, for argmax tables). Only the first `capacity`
/// pairs are written.
struct SparsifyParameters {
    const void* table;
    u32* offsets;
    TermWeight* found;
    u32* found_rows;
    int sequences, terms, kind, activation;
    float threshold;
    u32 capacity;
};

/// Zeroes all but the k largest cells of each sequence of a TABLE_MAX; the lower term wins a tie.
struct TopKParameters {
    u32* table;
    int sequences, terms, k, padding;
};

/// Merges scores[query][count] of the vectors from id `first` on into the top k of each query and
/// part (gridDim.y): best_scores[query][part][k], descending, and best_ids. If is_empty, there are none yet and the lists
/// are not read. Unused places have -infinity and 0xffffffff. k is 1 to 1,024.
struct NearestParameters {
    const float* scores;
    float* best_scores;
    u32* best_ids;
    int queries, count, first, k, is_empty, padding;
};

// The parameters of training.

enum ElementOperation { ACTIVATE, ACTIVATE_BACKWARD, MULTIPLY_ELEMENTS, DROPOUT };

/// out = an operation on x, or on x and y (null otherwise), value by value: all three are bf16 rows
/// of `stride`, or f32. Dropout zeroes values whose random bits are below `below`, and multiplies
/// the others by `factor`.
struct ElementsParameters {
    const void* x;
    const void* y;
    void* out;
    u64 seed, below;
    float factor;
    int operation, activation, is_f32, rows, columns, stride, padding;
};

/// out: the gradient of a norm at x. statistics[row] are the mean that was subtracted, and the
/// factor.
struct NormBackwardParameters {
    const bf16* x;
    const bf16* dy;
    bf16* out;
    float* statistics;
    Norm norm;
    int rows, columns, stride, padding;
};

/// sums[part] and products[part]: the sums of dy, and of dy times normalized x, over `part` rows.
/// Either may be null, products if x is.
struct ColumnSumsParameters {
    const bf16* x;
    const bf16* dy;
    const float* statistics;
    float* products;
    float* sums;
    int rows, columns, stride, part;
};

/// out += the sum of `count` parts of rows × columns values. Parts are `part_size` values apart, their
/// rows `stride`; rows of out are `out_stride` values apart, its columns `out_column`. blockIdx.z
/// counts such sums, each of `count` parts, whose results are `out_batch` values apart.
struct SumPartsParameters {
    const float* parts;
    float* out;
    i64 part_size, out_batch;
    int count, rows, columns, stride, out_stride, out_column;
};

struct L2NormalizeBackwardParameters {
    const float* x;
    const float* dy;
    float* out;
    int rows, columns;
};

/// dy has one f32 row per sequence; x and out have the same stride.
struct PoolBackwardParameters {
    const bf16* x;
    const float* dy;
    const u32* starts;
    bf16* out;
    int sequences, columns, stride, pooling;
};

/// dy has rows of `stride`, `width` times the columns of out.
struct Im2colBackwardParameters {
    const bf16* dy;
    const u32* starts;
    bf16* out;
    int sequences, rows, columns, stride, out_stride, width;
};

/// The rows indices[begin] to indices[end - 1] are summed into `row` of the parts, or of the result.
struct alignas(16) Segment {
    u32 begin, end, row, is_part;
};

/// For each of `count` segments, the sum of source[indices[i]] · factors[i]: stored in `parts`, or
/// added to `sums`, or, if that is null, stored in `out`. Without indices rows are i itself, without
/// factors they are 1. The source has rows of bf16 or f32, as the kernel says, of `stride`; parts
/// and sums have no padding.
struct GatherParameters {
    const void* source;
    const Segment* segments;
    const u32* indices;
    const float* factors;
    float* parts;
    float* sums;
    bf16* out;
    int count, columns, stride, out_stride;
};

/// f32 rows × columns without padding, transposed into bf16 rows.
struct TransposeParameters {
    const float* f32_rows;
    bf16* bf16_rows;
    int rows, columns, stride, padding;
};

struct CopyValuesParameters {
    const float* from;
    float* to;
    u64 count;
};

/// `rate` is the learning rate divided by the bias correction of the mean, `root_correction` is the
/// reciprocal root of that of the mean square, `decay` multiplies the master.
struct AdamWParameters {
    float* master;
    const float* gradient;
    float* mean;
    float* mean_square;
    u64 count;
    float rate, decay, beta1, beta2, epsilon, root_correction, gradient_scale, padding;
};

struct SumOfSquaresParameters {
    const float* values;
    float* sums;
    u64 count;
};

/// out = the slopes of weights at the logits times their sequence's gradients; `stride` is that of
/// out.
struct SpladeSlopesParameters {
    const float* logits;
    const float* dy;
    const u32* sequence_of;
    bf16* out;
    int rows, terms, stride, activation;
};

/// Adds dyᵀ · x to `out`, rows of f32: the gradient of the weight of a linear layer. dy is rows ×
/// outputs, of which the first `skipped` are not wanted (so that its address is a multiple of 16
/// bytes); x is rows × inputs. The rows are cut into `parts` of `part` rows; if there are several,
/// `sums` gets their results, each outputs × inputs with rows of `sums_stride` values, a multiple of
/// 8. blockIdx.z counts parts within products, each `*_batch` elements after the previous one.
struct WeightGradientParameters {
    const bf16* dy;
    const bf16* x;
    float* out;
    float* sums;
    i64 dy_batch, x_batch, out_batch;
    int rows, outputs, inputs, skipped, part, parts;
    int dy_stride, x_stride, out_stride, sums_stride;
};

/// What the gradient of attention keeps of a query and head: log2 of the sum of 2^score, and the
/// mean of the gradients of the weights, weighted by the weights.
struct alignas(8) ScoreStatistics {
    float log_sum, mean;
};

/// The gradient of attention for blocks of 64 queries, or keys (`tiles` as in AttentionParameters).
/// dy is tokens × (heads · head_size), `out` has the shape of the projections. `statistics` is
/// [heads][tokens], written by the kernels of queries. `slopes`, null if not wanted, gets the
/// gradients of the scores: [heads][tokens][slopes_stride], a row for each query (or key) with a
/// column for each key (query) of its sequence. The rest is as in AttentionParameters.
struct AttentionBackwardParameters {
    const bf16* projections;
    const bf16* dy;
    bf16* out;
    ScoreStatistics* statistics;
    bf16* slopes;
    const u32* starts;
    const u32* tiles;
    const float* bias;
    const float* content_to_position;
    const float* position_to_content;
    const u32* bucket_of;
    int first_token, tokens, heads, head_size, stride, dy_stride, out_stride, slopes_stride, reach, buckets;
    float scale;
    int padding;
};

/// out[part][head][bucket] = factor · the sum of the slopes of the tokens of a part whose distance is
/// in the bucket; a part has `part` tokens, heads are `out_stride` values apart. f32 `totals` take the
/// place of `out` if they are not null. Bucket b has the distances (key minus query) `distances` from
/// bucket_starts[b] to bucket_starts[b + 1] - 1. Rows of slopes are queries, or keys if `is_keys`.
/// `sequence_of` has one value per token of the batch.
struct BucketSlopesParameters {
    const bf16* slopes;
    bf16* out;
    float* totals;
    const u32* starts;
    const u32* sequence_of;
    const u32* bucket_starts;
    const int* distances;
    int first_token, tokens, buckets, slopes_stride, out_stride, is_keys;
    float factor;
    int part;
};

/// out[row][column] += x[row][column] for bf16 out and f32 x, rows × columns.
struct AddToRowsParameters {
    bf16* out;
    const float* x;
    int rows, columns, stride, padding;
};
