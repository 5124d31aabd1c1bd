// The gradient of attention over packed sequences. With scores S (see attention.cuh), weights P =
// softmax(S) and the gradient dY of the output Y = P · V:
//
//     dV = Pᵀ · dY,  dP = dY · Vᵀ,  dS = P ∘ (dP - row sums of P ∘ dP),
//     dQ = scale · dS · K,  dK = scale · dSᵀ · Q.
//
// In: the projections, whose rows are all queries, then keys, then values; dY; the starts of
// sequences; the list of blocks. Out: dQ, dK, dV side by side, as the projections.
//
// Scores and their gradients never leave the multiprocessor (unless `slopes` asks for dS): they are
// computed again for each tile (FlashAttention: Dao and others, 2022). There are two kernels, so
// that each gradient has one block that sums it, in the order of the tiles: nothing is added
// atomically, and the bits do not depend on the order in which blocks run.
//
// - The kernel of queries holds 64 queries with their rows of dY and goes through the keys and
//   values twice: first for the statistics of each row (log2 of the sum of 2^score, and the sum of
//   P ∘ dP), then for dQ. It writes the statistics.
// - The kernel of keys holds 64 keys with their values and goes through the queries and rows of dY
//   for dK and dV. It runs after the kernel of queries, whose statistics it reads.
//
// Both compute products of their rows with the columns of a tile, so S and dP in the kernel of keys
// are transposed. Scores are in base 2, sums in f32; P and dS are rounded to bf16 for the products.
//
// A block of 4 warps takes 64 tokens of one sequence (tiles[2 · blockIdx.x], from tiles[2 ·
// blockIdx.x + 1] on) and the head blockIdx.y; a warp takes 16 of them. While one tile of columns is
// multiplied, the next is copied. Registers have no room for both dK and dV of HEAD = 256: they are
// computed one after the other.
//
// Kernels are attention_backward_HEAD_queries and _keys, and with position terms
// attention_backward_HEAD_queries_bias, and so on.
//
// Launch: 128 threads, grid tiles × heads. Shared memory: 512 · HEAD bytes up to HEAD = 64, 384 ·
// HEAD for wider ones (the rows, and two stages of columns).
#pragma once
#include "head_rows.cuh"

/// What the rows of a block are.
enum Side { QUERIES, KEYS };

template <int HEAD, PositionTerms TERMS, Side SIDE>
struct AttentionBackward {
    typedef HeadRows<HEAD> Rows;
    static constexpr int THREADS = 128;
    static constexpr int ROWS = 64;
    static constexpr int COLUMNS = HEAD > 64 ? 16 : 32;  // per tile
    static constexpr int PIECES = Rows::PIECES;
    static constexpr int ROWS_BYTES = ROWS * Rows::ROW_BYTES;
    static constexpr int TILE_BYTES = COLUMNS * Rows::ROW_BYTES;
    static constexpr bool IS_SPLIT = SIDE == KEYS && HEAD > 128;
    /// How often a block goes through the columns.
    static constexpr int PASSES = SIDE == QUERIES || IS_SPLIT ? 2 : 1;
    // Shared memory: the rows (queries, or keys), the other rows (of dY, or values), two stages,
    // each with columns (keys, or queries) and the other columns (values, or rows of dY).
    static constexpr int STAGES_AT = 2 * ROWS_BYTES;

    typedef float Scores[COLUMNS / 8][4];
    typedef float Sums[PIECES][4];

    const AttentionBackwardParameters& p;
    TokenBlock block;
    u8* shared;

    // Per lane, for the rows lane / 4 and lane / 4 + 8 of its warp: fragments as in `multiply`.
    Sums sums = {};         // dQ, or dK; dV too if it is computed after dK
    Sums sums_of_values = {};  // dV
    float row_max[2] = {-INFINITY_F32, -INFINITY_F32};  // then log2 of the sum
    float sum[2] = {};
    float mean[2] = {};  // the sum of P ∘ dP, at first times `sum`

    DEVICE static int lane() { return threadIdx.x % 32; }
    DEVICE static int warp() { return threadIdx.x / 32; }
    /// The place of a lane's row in the sequence.
    DEVICE int row_of(int half) const { return block.first + 16 * warp() + lane() / 4 + 8 * half; }
    // Of a lane's score i of a tile: which of its two rows, and which column of the sequence.
    DEVICE static constexpr int half_of(int i) { return i / 2 % 2; }
    DEVICE static int column_of(int i, int tile) { return tile * COLUMNS + i / 4 * 8 + lane() % 4 * 2 + i % 2; }

    /// The first of a kind of rows, counted from token `first` of the sequence.
    DEVICE const bf16* part(int kind, int first) const {
        return p.projections + i64(block.begin + first) * p.stride + (kind * p.heads + block.head) * p.head_size;
    }
    DEVICE const bf16* dy(int first) const { return p.dy + i64(block.begin + first) * p.dy_stride + block.head * p.head_size; }

    DEVICE void copy_rows() const {
        int count = block.length - block.first, thread = threadIdx.x;
        const bf16* others = SIDE == QUERIES ? dy(block.first) : part(2, block.first);
        Rows::template copy<ROWS, THREADS>(shared, part(SIDE == QUERIES ? 0 : 1, block.first), count, p.stride, p.head_size, thread);
        Rows::template copy<ROWS, THREADS>(shared + ROWS_BYTES, others, count, SIDE == QUERIES ? p.dy_stride : p.stride, p.head_size, thread);
    }

    DEVICE u8* stage(int step) const { return shared + STAGES_AT + step % 2 * 2 * TILE_BYTES; }

    /// Starts the copy of the columns of a tile for a step.
    DEVICE void copy_tile(int tile, int step) const {
        int first = tile * COLUMNS, count = block.length - first, thread = recomputed(threadIdx.x);
        const bf16* others = SIDE == QUERIES ? part(2, first) : dy(first);
        Rows::template copy<COLUMNS, THREADS>(stage(step), part(SIDE == QUERIES ? 1 : 0, first), count, p.stride, p.head_size, thread);
        Rows::template copy<COLUMNS, THREADS>(stage(step) + TILE_BYTES, others, count, SIDE == QUERIES ? p.stride : p.dy_stride, p.head_size, thread);
        copy_commit();
    }

    /// The warp's 16 rows at `rows` times all columns at `columns`.
    DEVICE static void multiply_columns(Scores& out, const u8* rows, const u8* columns) {
        u32 rows_at = shared_address(rows) + Rows::place(16 * warp() + lane() % 16, lane() / 16);
        u32 columns_at = shared_address(columns) + Rows::place(lane() / 16 * 8 + lane() % 8, lane() / 8 % 2);
        UNROLL
        for (int step = 0; step < HEAD / 16; step++) {
            u32 row[4];
            load_matrices(row, Rows::further(rows_at, step));
            UNROLL
            for (int columns = 0; columns < COLUMNS / 16; columns++) {
                u32 column[4];
                load_matrices(column, Rows::further(columns_at, step) + 16 * columns * Rows::ROW_BYTES);
                multiply(out[2 * columns], row, column[0], column[1]);
                multiply(out[2 * columns + 1], row, column[2], column[3]);
            }
        }
    }

    /// Adds weights times the tile at `columns`.
    DEVICE static void add_columns(Sums& sums, const Scores& weights, const u8* columns) {
        u32 columns_at = shared_address(columns) + Rows::place(lane() % 16, lane() / 16);
        UNROLL
        for (int columns = 0; columns < COLUMNS / 16; columns++) {
            const float(&low)[4] = weights[2 * columns];
            const float(&high)[4] = weights[2 * columns + 1];
            u32 weight[4] = {pack(low[0], low[1]), pack(low[2], low[3]), pack(high[0], high[1]), pack(high[2], high[3])};
            UNROLL
            for (int step = 0; step < HEAD / 16; step++) {
                u32 column[4];
                load_matrices_transposed(column, Rows::further(columns_at, step) + 16 * columns * Rows::ROW_BYTES);
                multiply(sums[2 * step], weight, column[0], column[1]);
                multiply(sums[2 * step + 1], weight, column[2], column[3]);
            }
        }
    }

    /// The place of a pair's distance among those that tables have. Rows and columns beyond the end
    /// may exceed the reach.
    DEVICE int distance_of(int row, int column) const {
        int distance = SIDE == QUERIES ? column - row : row - column;
        return min_of(max_of(distance + p.reach, 0), 2 * p.reach);
    }

    /// Scaled scores in base 2, with positions; -infinity for columns beyond the end.
    DEVICE void finish_scores(Scores& scores, int tile) const {
        if (TERMS == DISENTANGLED) add_disentangled(scores, tile);
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i++) {
            float& score = scores[i / 4][i % 4];
            score *= p.scale * LOG2_E;
            if (TERMS == BIAS) {
                score += p.bias[i64(block.head) * (2 * p.reach + 1) + distance_of(row_of(half_of(i)), column_of(i, tile))] * LOG2_E;
                if (i % 8 == 7) keep_order();
            }
        }
        if (block.length - tile * COLUMNS >= COLUMNS) return;
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i++)
            if (column_of(i, tile) >= block.length) scores[i / 4][i % 4] = -INFINITY_F32;
    }

    DEVICE void add_disentangled(Scores& scores, int tile) const {
        const float* of_rows = SIDE == QUERIES ? p.content_to_position : p.position_to_content;
        const float* of_columns = SIDE == QUERIES ? p.position_to_content : p.content_to_position;
        i64 first = (i64(block.head) * p.tokens + block.begin - p.first_token) * p.buckets;
        int last = block.length - 1;
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i++) {
            int row = row_of(half_of(i)), column = column_of(i, tile);
            u32 bucket = p.bucket_of[distance_of(row, column)];
            float& score = scores[i / 4][i % 4];
            if (of_rows) score += of_rows[first + i64(min_of(row, last)) * p.buckets + bucket];
            if (of_columns) score += of_columns[first + i64(min_of(column, last)) * p.buckets + bucket];
            if (i % 4 == 3) keep_order();
        }
    }

    DEVICE ScoreStatistics* statistics() const { return p.statistics + i64(block.head) * p.tokens + block.begin - p.first_token; }

    /// Adds a tile to the statistics of the rows, and rescales them to the new maximum.
    DEVICE void add_statistics(const Scores& scores, const Scores& slopes) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            float now = row_max[half];
            UNROLL
            for (int i = 0; i < COLUMNS / 4; i++) now = fmaxf(now, scores[i / 2][2 * half + i % 2]);
            now = fmaxf(now, shuffle_xor(now, 1));
            now = fmaxf(now, shuffle_xor(now, 2));
            float shrink = exp2_fast(row_max[half] - now);
            row_max[half] = now;
            sum[half] *= shrink;
            mean[half] *= shrink;
            UNROLL
            for (int i = 0; i < COLUMNS / 4; i++) {
                float weight = exp2_fast(scores[i / 2][2 * half + i % 2] - now);
                sum[half] += weight;
                mean[half] += weight * slopes[i / 2][2 * half + i % 2];
            }
        }
    }

    DEVICE void finish_statistics() {
        UNROLL
        for (int half = 0; half < 2; half++) {
            UNROLL
            for (int lanes = 1; lanes < 4; lanes *= 2) {
                sum[half] += shuffle_xor(sum[half], lanes);
                mean[half] += shuffle_xor(mean[half], lanes);
            }
            mean[half] /= sum[half];
            row_max[half] += log2f(sum[half]);
            if (lane() % 4 == 0 && row_of(half) < block.length) statistics()[row_of(half)] = {row_max[half], mean[half]};
        }
    }

    /// Scores become weights, P.
    DEVICE void finish_weights(Scores& scores, int tile) const {
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i++) {
            float& score = scores[i / 4][i % 4];
            score = exp2_fast(score - statistics_of(i, tile).log_sum);
            if (SIDE == KEYS && i % 8 == 7) keep_order();
        }
    }

    /// dP becomes dS.
    DEVICE void finish_slopes(Scores& slopes, const Scores& weights, int tile) const {
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i++) {
            float& slope = slopes[i / 4][i % 4];
            slope = weights[i / 4][i % 4] * (slope - statistics_of(i, tile).mean);
            if (SIDE == KEYS && i % 8 == 7) keep_order();
        }
        if (TERMS != NO_TERMS && p.slopes) write_slopes(slopes, tile);
    }

    /// The statistics of the query of score i. A query beyond the end has a weight of 2^-infinity.
    DEVICE ScoreStatistics statistics_of(int i, int tile) const {
        if (SIDE == QUERIES) return {row_max[half_of(i)], mean[half_of(i)]};
        int column = column_of(i, tile);
        return column < block.length ? statistics()[column] : ScoreStatistics{0, 0};
    }

    DEVICE void write_slopes(const Scores& slopes, int tile) const {
        UNROLL
        for (int i = 0; i < COLUMNS / 2; i += 2) {
            int row = row_of(half_of(i)), column = column_of(i, tile);
            if (row >= block.length || column >= block.length) continue;
            bf16* to = p.slopes + (i64(block.head) * p.tokens + block.begin - p.first_token + row) * p.slopes_stride + column;
            *reinterpret_cast<u32*>(to) = pack(slopes[i / 4][i % 4], slopes[i / 4][i % 4 + 1]);
        }
    }

    template <int PASS>
    DEVICE void take_tile(int tile, const u8* stage) {
        Scores scores = {};
        multiply_columns(scores, shared, stage);
        finish_scores(scores, tile);
        if constexpr (SIDE == KEYS) finish_weights(scores, tile);
        if constexpr (IS_SPLIT && PASS == 1) {
            add_columns(sums, scores, stage + TILE_BYTES);
        } else {
            Scores slopes = {};
            multiply_columns(slopes, shared + ROWS_BYTES, stage + TILE_BYTES);
            if constexpr (SIDE == QUERIES && PASS == 0) {
                add_statistics(scores, slopes);
            } else {
                if constexpr (SIDE == QUERIES) finish_weights(scores, tile);
                if constexpr (SIDE == KEYS && !IS_SPLIT) add_columns(sums_of_values, scores, stage + TILE_BYTES);
                finish_slopes(slopes, scores, tile);
                add_columns(sums, slopes, stage);
            }
        }
    }

    /// Writes the warp's rows of a part of the gradient, by way of its rows in shared memory at
    /// `rows`, which are not needed any more.
    DEVICE void store(u8* rows, const Sums& values, int kind, float factor) const {
        const float factors[2] = {factor, factor};
        int first = block.first + 16 * warp();
        bf16* to = p.out + i64(block.begin + first) * p.out_stride + (kind * p.heads + block.head) * p.head_size;
        sync_warp();  // all lanes have read the rows
        Rows::store(rows + 16 * warp() * Rows::ROW_BYTES, values, factors, to, block.length - first, p.out_stride, p.head_size);
    }

    /// What follows a pass through all columns.
    template <int PASS>
    DEVICE void finish_pass() {
        if constexpr (SIDE == QUERIES) {
            if constexpr (PASS == 0) finish_statistics();
            else store(shared, sums, 0, p.scale);
        } else if constexpr (IS_SPLIT) {
            // The second pass reads the keys again, but not the values.
            if constexpr (PASS == 0) store(shared + ROWS_BYTES, sums, 1, p.scale);
            else store(shared, sums, 2, 1);
            UNROLL
            for (int i = 0; i < 4 * PIECES; i++) sums[i / 4][i % 4] = 0;
        } else {
            store(shared + ROWS_BYTES, sums, 1, p.scale);
            store(shared, sums_of_values, 2, 1);
        }
    }

    template <int PASS>
    DEVICE void run_pass() {
        int tiles = divide_up(block.length, COLUMNS);
        bool has_rows = block.first + 16 * warp() < block.length;
        for (int tile = 0; tile < tiles; tile++) {
            int step = PASS * tiles + tile, next = tile + 1 == tiles ? 0 : tile + 1;
            bool is_last = PASS + 1 == PASSES && next == 0;
            copy_wait<0>();
            sync_block();  // the tile has arrived, and all threads are done with the other stage
            if (!is_last) copy_tile(next, step + 1);
            if (has_rows) take_tile<PASS>(tile, stage(step));
        }
        if (has_rows) finish_pass<PASS>();
    }

    DEVICE void run() {
        copy_rows();
        copy_tile(0, 0);
        run_pass<0>();
        if constexpr (PASSES == 2) run_pass<1>();
    }
};

template <int HEAD, PositionTerms TERMS, Side SIDE>
DEVICE void run_attention_backward(const AttentionBackwardParameters& p) {
    SHARED_MEMORY(shared);
    AttentionBackward<HEAD, TERMS, SIDE> attention = {p, TokenBlock(p.starts, p.tiles), shared};
    attention.run();
}

#define ATTENTION_BACKWARD_OF(name, head, terms, side, blocks) \
    KERNEL(name, 128, blocks)(PARAMETER(AttentionBackwardParameters) p) { run_attention_backward<head, terms, side>(p); }
#define ATTENTION_BACKWARD(head, blocks)                                                                                 \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_queries, head, NO_TERMS, QUERIES, blocks)                          \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_keys, head, NO_TERMS, KEYS, blocks)                                \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_queries_bias, head, BIAS, QUERIES, blocks)                         \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_keys_bias, head, BIAS, KEYS, blocks)                               \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_queries_disentangled, head, DISENTANGLED, QUERIES, blocks)         \
    ATTENTION_BACKWARD_OF(attention_backward_##head##_keys_disentangled, head, DISENTANGLED, KEYS, blocks)
